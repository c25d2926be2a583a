"""Both clients against a server whose every answer is scripted: statuses, retries, balancing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from bertline.inference.v1 import inference_pb2 as pb
from bertline.inference.v1 import inference_pb2_grpc

from services.clients import (
    AsyncInferenceClient,
    CallFailed,
    ClassifyReply,
    DeadlineExceeded,
    InferenceClient,
    InvalidRequest,
    MessageTooLarge,
    NotFound,
    Overloaded,
    Unavailable,
)
from services.platform.failures import (
    DeadlineExceeded as DeadlinePassed,
)
from services.platform.failures import (
    Draining,
    Failure,
    InferenceFailed,
    InvalidInput,
    ModelNotFound,
)
from services.platform.failures import (
    Overloaded as QueueFull,
)
from services.platform.statuses import DETAILS_KEY, code_of, status_of

Call = Callable[..., ClassifyReply]


class ScriptedServicer(inference_pb2_grpc.InferenceServiceServicer):
    """Fails with the scripted failures, one a call, then answers; remembers what it was sent."""

    def __init__(self, script: list[Failure], variant: str = "fp32", details: bytes | None = None) -> None:
        self._script = list(script)
        self._variant = variant
        self._details = details
        self.metadata: list[dict[str, Any]] = []
        self.remaining_s: list[float] = []

    def Classify(self, request: pb.ClassifyRequest, context: grpc.ServicerContext) -> pb.ClassifyResponse:
        self.metadata.append(dict(context.invocation_metadata()))
        self.remaining_s.append(context.time_remaining())
        if self._script:
            failure = self._script.pop(0)
            details = status_of(failure).SerializeToString() if self._details is None else self._details
            context.set_trailing_metadata(((DETAILS_KEY, details),))
            context.abort(code_of(failure), failure.message)
        return pb.ClassifyResponse(model=pb.ModelInfo(name="news", version=1, variant=self._variant))


@contextmanager
def serving(servicer: ScriptedServicer) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(4))
    inference_pb2_grpc.add_InferenceServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


def blocking(target: str, **options: Any) -> ClassifyReply:
    with InferenceClient(target) as client:
        return client.classify(["text"], **options)


def asynchronous(target: str, **options: Any) -> ClassifyReply:
    async def call() -> ClassifyReply:
        async with AsyncInferenceClient(target) as client:
            return await client.classify(["text"], **options)

    return asyncio.run(call())


@pytest.fixture(params=[blocking, asynchronous], ids=["blocking", "asyncio"])
def classify(request: pytest.FixtureRequest) -> Call:
    chosen: Call = request.param
    return chosen


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (InvalidInput("no inputs", "inputs", "NO_INPUTS", limit="256"), InvalidRequest),
        (ModelNotFound("no model is named 'x'", model="x"), NotFound),
        (QueueFull("the queue is full", 0.75), Overloaded),
        (DeadlinePassed("the deadline passed while the text waited"), DeadlineExceeded),
        (InferenceFailed("the model failed on this text"), CallFailed),
    ],
)
def test_every_status_becomes_its_exception_with_its_details(
    classify: Call, failure: Failure, kind: type[CallFailed]
) -> None:
    with serving(ScriptedServicer([failure])) as target, pytest.raises(CallFailed) as caught:
        classify(target, correlation_id="trace-1")
    details = caught.value.details
    assert type(caught.value) is kind
    assert details.code == code_of(failure).name
    assert (details.message, details.reason, details.metadata) == (failure.message, failure.reason, failure.metadata)
    assert details.violations == ({failure.field: failure.message} if isinstance(failure, InvalidInput) else {})
    assert details.retry_after_s == (failure.retry_after_s if isinstance(failure, QueueFull) else None)
    assert details.correlation_id == "trace-1"
    assert "trace-1" in str(caught.value)
    assert failure.message in str(caught.value)


def test_a_draining_server_is_tried_again(classify: Call) -> None:
    servicer = ScriptedServicer([Draining("shutting down")] * 2)
    with serving(servicer) as target:
        assert classify(target).model == "news"
    assert len(servicer.metadata) == 3


def test_retries_end(classify: Call) -> None:
    servicer = ScriptedServicer([Draining("shutting down")] * 9)
    with serving(servicer) as target, pytest.raises(Unavailable, match="shutting down"):
        classify(target)
    assert len(servicer.metadata) == 4


@pytest.mark.parametrize(
    "failure", [QueueFull("the queue is full", 0.1), InferenceFailed("it failed"), InvalidInput("bad", "inputs")]
)
def test_only_unavailable_is_tried_again(classify: Call, failure: Failure) -> None:
    servicer = ScriptedServicer([failure] * 2)
    with serving(servicer) as target, pytest.raises(CallFailed):
        classify(target)
    assert len(servicer.metadata) == 1


def test_a_call_to_a_draining_server_goes_on_to_another_one(classify: Call) -> None:
    draining, healthy = ScriptedServicer([Draining("shutting down")] * 9), ScriptedServicer([], "other")
    with serving(draining) as one, serving(healthy) as two:
        replies = [classify(f"ipv4:{one},{two}") for _ in range(4)]
    assert {reply.variant for reply in replies} == {"other"}


def test_calls_go_round_the_addresses_of_a_target() -> None:
    servicers = [ScriptedServicer([], "one"), ScriptedServicer([], "two")]
    with serving(servicers[0]) as one, serving(servicers[1]) as two, InferenceClient(f"ipv4:{one},{two}") as client:
        variants = {client.classify(["text"]).variant for _ in range(50)}
    assert variants == {"one", "two"}


def test_a_server_that_is_away_is_unavailable(classify: Call) -> None:
    with serving(ScriptedServicer([])) as target:
        pass
    with pytest.raises(Unavailable):
        classify(target)


def test_every_call_carries_a_timeout_and_a_correlation_id(classify: Call) -> None:
    servicer = ScriptedServicer([])
    with serving(servicer) as target:
        own = classify(target, timeout_s=100.0, correlation_id="call-1")
        default = classify(target)
    assert 50.0 < servicer.remaining_s[0] < 150.0
    assert 0.0 < servicer.remaining_s[1] < 15.0
    assert [each["x-correlation-id"] for each in servicer.metadata] == ["call-1", default.correlation_id]
    assert own.correlation_id == "call-1"


def test_a_reply_over_the_limit_is_no_overload(classify: Call) -> None:
    with serving(ScriptedServicer([], variant="x" * 17 * 1024 * 1024)) as target, pytest.raises(MessageTooLarge):
        classify(target)


def test_details_that_are_no_details_leave_grpcs_own_words(classify: Call) -> None:
    servicer = ScriptedServicer([ModelNotFound("no model is named 'x'")], details=b"\xff\xff\xff")
    with serving(servicer) as target, pytest.raises(NotFound) as caught:
        classify(target)
    assert (caught.value.details.code, caught.value.details.message) == ("NOT_FOUND", "no model is named 'x'")


async def test_cancelling_a_call_stays_a_cancellation() -> None:
    async def never(_: pb.ClassifyRequest, context: object) -> pb.ClassifyResponse:
        await asyncio.Event().wait()
        return pb.ClassifyResponse()

    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(
        never,
        request_deserializer=pb.ClassifyRequest.FromString,
        response_serializer=pb.ClassifyResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("bertline.inference.v1.InferenceService", {"Classify": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with AsyncInferenceClient(f"127.0.0.1:{port}") as client:
        call = asyncio.create_task(client.classify(["text"]))
        await asyncio.sleep(0.05)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    await server.stop(None)
