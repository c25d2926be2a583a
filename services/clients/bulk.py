"""Classification of any number of texts over one stream, in their order and within bounded memory.

At most `WINDOW` requests are under way, and a text is taken from the caller's iterator when there is room for it. A
request that the server refuses because too much waits is sent again, when the server says; it does not end the stream.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sequence

import grpc
from bertline.inference.v1 import inference_pb2 as pb
from bertline.inference.v1 import inference_pb2_grpc

from services.clients.calls import CallOptions
from services.clients.classification_messages import Classified, results_of
from services.clients.failures import Overloaded, failure_of, failure_of_status
from services.clients.messages import ItemError, Text

WINDOW = 64
"""Requests under way; the server works on as many of a stream at once."""
ATTEMPTS = 10
"""How often a request is sent that the server has no room for."""
LEAST_WAIT_S = 0.05

Make = Callable[[Sequence[Text], int], pb.ClassifyRequest]
"""A request of some texts, the first of which stands at a position of the whole."""
Results = list[Classified | ItemError]


class Requests:
    """Cuts texts into requests of `size`, and holds those that have no answer yet."""

    def __init__(self, make: Make, size: int) -> None:
        if size < 1:
            raise ValueError(f"texts_per_request must be 1 or more, not {size}")
        self.failure: Exception | None = None
        """What the caller's iterator raised; it is raised again where the caller reads the results."""
        self._make = make
        self._size = size
        self._texts: list[Text] = []
        self._taken = 0
        self._unanswered: deque[pb.ClassifyRequest] = deque()

    def add(self, text: Text) -> bool:
        """One more text; whether there are enough for a request."""
        self._texts.append(text)
        return len(self._texts) >= self._size

    @property
    def waiting(self) -> bool:
        """Whether there are texts for a last, smaller request."""
        return bool(self._texts)

    def cut(self) -> pb.StreamClassifyRequest:
        """A request of the texts that wait."""
        request = self._make(self._texts, self._taken)
        self._taken += len(self._texts)
        self._texts = []
        self._unanswered.append(request)
        return pb.StreamClassifyRequest(id=str(self._taken), request=request)

    def outcome(self, answer: pb.StreamClassifyResponse, correlation_id: str) -> Results | Retry:
        """What came of the oldest request without an answer. Raises CallFailed when it failed for good."""
        request = self._unanswered.popleft()
        if answer.WhichOneof("outcome") == "response":
            return results_of(answer.response)
        failure = failure_of_status(answer.error, correlation_id)
        if isinstance(failure, Overloaded):
            return Retry(request, failure)
        raise failure


class Retry:
    """A request that the server had no room for, and how long to wait before it is sent again."""

    def __init__(self, request: pb.ClassifyRequest, failure: Overloaded) -> None:
        self.request = request
        self.failure = failure
        self._left = ATTEMPTS - 1

    def wait_s(self) -> float:
        """Raises Overloaded after the last attempt."""
        if self._left == 0:
            raise self.failure
        self._left -= 1
        return max(LEAST_WAIT_S, self.failure.details.retry_after_s or 0.0)

    def refused(self, error: grpc.RpcError, correlation_id: str) -> None:
        """It was sent again, and failed. Raises CallFailed unless it was refused once more."""
        failure = failure_of(error, correlation_id)
        if not isinstance(failure, Overloaded):
            raise failure from None
        self.failure = failure


def classify_all(
    stub: inference_pb2_grpc.InferenceServiceStub,
    texts: Iterable[Text],
    requests: Requests,
    options: CallOptions,
    timeout_s: float | None,
) -> Iterator[Classified | ItemError]:
    """Results in the order of the texts. `texts` is read on a thread of gRPC's. `options` are those of calls sent again.

    Raises CallFailed, or what `texts` raised, after the results of everything before.
    """
    free, stop = threading.Semaphore(WINDOW), threading.Event()

    def sent() -> Iterator[pb.StreamClassifyRequest]:
        try:
            for text in texts:
                if requests.add(text):
                    free.acquire()
                    if stop.is_set():
                        return
                    yield requests.cut()
            if requests.waiting:
                free.acquire()
                yield requests.cut()
        except Exception as error:
            requests.failure = error

    stream = stub.StreamClassify(sent(), timeout=timeout_s, metadata=options.metadata)
    try:
        for answer in stream:
            outcome = requests.outcome(answer, options.correlation_id)
            yield from _again(stub, outcome, options) if isinstance(outcome, Retry) else outcome
            free.release()
    except grpc.RpcError as error:
        raise failure_of(error, options.correlation_id) from None
    finally:
        stop.set()
        free.release()
        stream.cancel()
    if requests.failure is not None:
        raise requests.failure


def _again(stub: inference_pb2_grpc.InferenceServiceStub, retry: Retry, options: CallOptions) -> Results:
    while True:
        time.sleep(retry.wait_s())
        try:
            return results_of(stub.Classify(retry.request, timeout=options.timeout_s, metadata=options.metadata))
        except grpc.RpcError as error:
            retry.refused(error, options.correlation_id)


async def classify_all_async(
    stub: inference_pb2_grpc.InferenceServiceAsyncStub,
    texts: Iterable[Text] | AsyncIterable[Text],
    requests: Requests,
    options: CallOptions,
    timeout_s: float | None,
) -> AsyncIterator[Classified | ItemError]:
    """As `classify_all`, for asyncio; `texts` is read on the event loop."""
    free = asyncio.Semaphore(WINDOW)

    async def sent() -> AsyncIterator[pb.StreamClassifyRequest]:
        try:
            async for text in _each(texts):
                if requests.add(text):
                    await free.acquire()
                    yield requests.cut()
            if requests.waiting:
                await free.acquire()
                yield requests.cut()
        except Exception as error:
            requests.failure = error

    stream = stub.StreamClassify(sent(), timeout=timeout_s, metadata=options.metadata)
    try:
        async for answer in stream:
            outcome = requests.outcome(answer, options.correlation_id)
            for result in await _again_async(stub, outcome, options) if isinstance(outcome, Retry) else outcome:
                yield result
            free.release()
    except grpc.RpcError as error:
        raise failure_of(error, options.correlation_id) from None
    finally:
        stream.cancel()
    if requests.failure is not None:
        raise requests.failure


async def _again_async(
    stub: inference_pb2_grpc.InferenceServiceAsyncStub, retry: Retry, options: CallOptions
) -> Results:
    while True:
        await asyncio.sleep(retry.wait_s())
        try:
            return results_of(await stub.Classify(retry.request, timeout=options.timeout_s, metadata=options.metadata))
        except grpc.RpcError as error:
            retry.refused(error, options.correlation_id)


async def _each(texts: Iterable[Text] | AsyncIterable[Text]) -> AsyncIterator[Text]:
    if isinstance(texts, AsyncIterable):
        async for text in texts:
            yield text
    else:
        for text in texts:
            yield text
