"""What the model client sends twice when a server is away, and what it must not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from bertline.models.v1 import models_pb2 as pb
from bertline.models.v1 import models_pb2_grpc

from services.clients import ModelClient, Unavailable


class Away(models_pb2_grpc.ModelServiceServicer):
    """Does what it is asked, and then is away before it can say so, once for each call."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()

    def _do(self, what: str, context: grpc.ServicerContext) -> None:
        self.done[what] += 1
        if self.done[what] == 1:
            context.abort(grpc.StatusCode.UNAVAILABLE, "away")

    def GetModel(self, request: Any, context: Any) -> pb.GetModelResponse:
        self._do("get", context)
        return pb.GetModelResponse(model=pb.Model(name="tiny"))

    def SetLabel(self, request: Any, context: Any) -> pb.SetLabelResponse:
        self._do("set", context)
        return pb.SetLabelResponse(model=pb.Model(name="tiny"))

    def RollBackLabel(self, request: Any, context: Any) -> pb.RollBackLabelResponse:
        self._do("roll back", context)
        return pb.RollBackLabelResponse(model=pb.Model(name="tiny"))

    def DeleteLabel(self, request: Any, context: Any) -> pb.DeleteLabelResponse:
        self._do("delete", context)
        return pb.DeleteLabelResponse(model=pb.Model(name="tiny"))


@pytest.fixture
def away() -> Iterator[tuple[Away, ModelClient]]:
    servicer = Away()
    server = grpc.server(ThreadPoolExecutor(2))
    models_pb2_grpc.add_ModelServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with ModelClient(f"127.0.0.1:{port}") as client:
        yield servicer, client
    server.stop(0).wait()


def test_what_may_be_done_twice_is_sent_again(away: tuple[Away, ModelClient]) -> None:
    servicer, client = away
    client.get_model("tiny")
    client.set_label("tiny", "canary", 2)
    assert servicer.done == {"get": 2, "set": 2}


def test_a_rollback_whose_answer_was_lost_is_not_done_twice(away: tuple[Away, ModelClient]) -> None:
    servicer, client = away
    with pytest.raises(Unavailable):
        client.roll_back_label("tiny")
    with pytest.raises(Unavailable):
        client.delete_label("tiny", "canary")
    assert servicer.done == {"roll back": 1, "delete": 1}
