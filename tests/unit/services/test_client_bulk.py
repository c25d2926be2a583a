"""Bulk classification against a server whose every answer is scripted: order, bounds, overload, errors."""

from __future__ import annotations

import asyncio
import threading
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
    Classified,
    InferenceClient,
    ItemError,
    NotFound,
    Overloaded,
)
from services.clients.bulk import ATTEMPTS, WINDOW
from services.platform.failures import Failure, InferenceFailed, ModelNotFound
from services.platform.failures import Overloaded as QueueFull
from services.platform.statuses import DETAILS_KEY, code_of, status_of

Bulk = Callable[..., list[Classified | ItemError]]


class EchoServicer(inference_pb2_grpc.InferenceServiceServicer):
    """Labels each text with itself; the nth request of the stream, and the calls after it, fail as scripted."""

    def __init__(self, stream: dict[int, Failure] | None = None, calls: list[Failure] | None = None) -> None:
        self._stream = stream or {}
        self._calls = list(calls or [])
        self.calls = 0
        self.gate: threading.Event | None = None

    def StreamClassify(
        self, requests: Iterator[pb.StreamClassifyRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.StreamClassifyResponse]:
        for number, request in enumerate(requests):
            if self.gate is not None:
                self.gate.wait(20)
            if number in self._stream:
                yield pb.StreamClassifyResponse(id=request.id, error=status_of(self._stream[number]))
            else:
                yield pb.StreamClassifyResponse(id=request.id, response=self._echo(request.request))

    def Classify(self, request: pb.ClassifyRequest, context: grpc.ServicerContext) -> pb.ClassifyResponse:
        self.calls += 1
        if self._calls:
            failure = self._calls.pop(0)
            context.set_trailing_metadata(((DETAILS_KEY, status_of(failure).SerializeToString()),))
            context.abort(code_of(failure), failure.message)
        return self._echo(request)

    @staticmethod
    def _echo(request: pb.ClassifyRequest) -> pb.ClassifyResponse:
        labels = [pb.Classification(labels=[pb.LabelScore(label=each.text)]) for each in request.inputs]
        return pb.ClassifyResponse(results=[pb.ClassifyResult(classification=each) for each in labels])


@contextmanager
def serving(servicer: EchoServicer) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(4))
    inference_pb2_grpc.add_InferenceServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


def blocking(target: str, texts: Any, received: list[Classified | ItemError], **options: Any) -> None:
    with InferenceClient(target) as client:
        for result in client.classify_stream(texts, **options):
            received.append(result)


def asynchronous(target: str, texts: Any, received: list[Classified | ItemError], **options: Any) -> None:
    async def run() -> None:
        async with AsyncInferenceClient(target) as client:
            async for result in client.classify_stream(texts, **options):
                received.append(result)

    asyncio.run(run())


@pytest.fixture(params=[blocking, asynchronous])
def bulk(request: pytest.FixtureRequest) -> Callable[..., None]:
    run: Callable[..., None] = request.param
    return run


def names(results: list[Classified | ItemError]) -> list[str]:
    return [result.best.name for result in results if isinstance(result, Classified)]


@pytest.mark.parametrize(("count", "size"), [(0, 16), (1, 16), (16, 16), (1_000, 7), (300, 1)])
def test_results_come_in_the_order_of_the_texts(bulk: Callable[..., None], count: int, size: int) -> None:
    texts, received = [f"text {n}" for n in range(count)], []  # type: ignore[var-annotated]
    with serving(EchoServicer()) as target:
        bulk(target, iter(texts), received, texts_per_request=size)
    assert names(received) == texts


def test_an_overloaded_server_is_waited_for_and_no_text_is_lost(bulk: Callable[..., None]) -> None:
    full, received = QueueFull("full", 0.001), []  # type: ignore[var-annotated]
    servicer = EchoServicer({1: full, 2: full}, [full])
    with serving(servicer) as target:
        bulk(target, [str(n) for n in range(40)], received, texts_per_request=10)
    assert names(received) == [str(n) for n in range(40)]
    assert servicer.calls == 3


def test_a_server_that_stays_overloaded_is_given_up(bulk: Callable[..., None]) -> None:
    received: list[Classified | ItemError] = []
    servicer = EchoServicer({1: QueueFull("full", 0.001)}, [QueueFull("full", 0.001)] * 99)
    with serving(servicer) as target, pytest.raises(Overloaded):
        bulk(target, ["a", "b", "c"], received, texts_per_request=1)
    assert names(received) == ["a"]
    assert servicer.calls == ATTEMPTS - 1


@pytest.mark.parametrize(
    ("failure", "kind"), [(ModelNotFound("no model"), NotFound), (InferenceFailed("it failed"), CallFailed)]
)
def test_a_request_that_fails_ends_the_bulk_after_what_came_before(
    bulk: Callable[..., None], failure: Failure, kind: type[CallFailed]
) -> None:
    received: list[Classified | ItemError] = []
    with serving(EchoServicer({2: failure})) as target, pytest.raises(kind) as caught:
        bulk(target, list("abcdef"), received, texts_per_request=1)
    assert names(received) == ["a", "b"]
    assert caught.value.details.reason == failure.reason


def test_what_the_texts_raise_is_raised_where_the_results_are_read(bulk: Callable[..., None]) -> None:
    def texts() -> Iterator[str]:
        yield from "abc"
        raise OSError("the file is gone")

    received: list[Classified | ItemError] = []
    with serving(EchoServicer()) as target, pytest.raises(OSError, match="the file is gone"):
        bulk(target, texts(), received, texts_per_request=1)
    assert names(received) == ["a", "b", "c"]


def test_a_text_that_is_no_unicode_is_named_by_its_place_among_all(bulk: Callable[..., None]) -> None:
    with serving(EchoServicer()) as target, pytest.raises(ValueError, match=r"texts\[5\] is no valid Unicode"):
        bulk(target, [*"abcde", "\ud800"], [], texts_per_request=2)


def test_texts_are_read_no_further_than_the_window_ahead() -> None:
    taken = 0

    def endless() -> Iterator[str]:
        nonlocal taken
        while True:
            taken += 1
            yield "text"

    servicer = EchoServicer()
    servicer.gate = threading.Event()
    with serving(servicer) as target, InferenceClient(target) as client:
        results = client.classify_stream(endless(), texts_per_request=2)
        reader = threading.Thread(target=lambda: next(results))
        reader.start()
        while taken < 2 * WINDOW:
            threading.Event().wait(0.001)
        threading.Event().wait(0.05)
        assert taken <= 2 * (WINDOW + 1)
        servicer.gate.set()
        reader.join()
        results.close()  # type: ignore[attr-defined]


def test_leaving_early_ends_the_thread_that_reads_the_texts() -> None:
    readers: set[threading.Thread] = set()

    def texts() -> Iterator[str]:
        for number in range(10**9):
            readers.add(threading.current_thread())
            yield str(number)

    with serving(EchoServicer()) as target, InferenceClient(target) as client:
        for result in client.classify_stream(texts(), texts_per_request=1):
            assert isinstance(result, Classified)
            break
    (reader,) = readers
    reader.join(5.0)
    assert not reader.is_alive()


@pytest.mark.parametrize("size", [0, -1])
def test_a_request_of_no_texts_is_refused(bulk: Callable[..., None], size: int) -> None:
    with pytest.raises(ValueError, match="texts_per_request"):
        bulk("127.0.0.1:1", ["a"], [], texts_per_request=size)


def test_a_lone_text_is_refused_rather_than_classified_letter_by_letter(bulk: Callable[..., None]) -> None:
    with pytest.raises(TypeError, match=r"\[text\]"):
        bulk("127.0.0.1:1", "text", [])
