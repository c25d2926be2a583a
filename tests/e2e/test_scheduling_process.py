"""The scheduler's promises kept by a real server process over real gRPC: what is said here with a clock of its own in
`tests/unit/services/scheduling` must hold with threads, sockets and time, too. Nothing here asserts how long anything takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from bertline.inference.v1 import inference_pb2 as pb
from bertline.inference.v1 import inference_pb2_grpc
from google.rpc import error_details_pb2, status_pb2

from benchmarks.server_metrics import Counters, parse
from tests.fakes.server_process import ServerProcess, server_process
from tests.fakes.tiny_bundle import publish_tiny
from tests.fakes.tiny_words import WORDS

WORK = 1500
"""Products a token: a text of a few words takes some 50 ms, so that a handful of callers makes a queue."""
TIMEOUT = 60.0
BATCH = {"BERTLINE_MAX_BATCH_TOKENS": "64", "BERTLINE_MAX_BATCH_TEXTS": "2", "BERTLINE_THREADS": "1"}
WIDE_QUEUE = {**BATCH, "BERTLINE_MAX_QUEUE_S": "600"}
SHORT_QUEUE = {**BATCH, "BERTLINE_MAX_QUEUE_TOKENS": "128", "BERTLINE_MAX_QUEUE_S": "600"}

Stub = Any
"""The asynchronous stub: the generated code has one class for both kinds."""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("registry")
    publish_tiny(folder, "one", work=WORK)
    publish_tiny(folder, "two", work=WORK)
    return folder


@pytest.fixture(scope="module")
def patient(registry: Path) -> Iterator[ServerProcess]:
    """A server that lets everybody wait."""
    with server_process(registry, environment=WIDE_QUEUE) as process:
        yield process


@asynccontextmanager
async def calling(process: ServerProcess) -> AsyncIterator[Stub]:
    async with grpc.aio.insecure_channel(process.address) as channel:
        yield inference_pb2_grpc.InferenceServiceStub(channel)


def request(text: str, model: str = "one", priority: pb.Priority.ValueType = pb.PRIORITY_NORMAL) -> pb.ClassifyRequest:
    return pb.ClassifyRequest(
        model=pb.ModelSelector(name=model),
        inputs=[pb.TextInput(text=text)],
        options=pb.CallOptions(priority=priority),
    )


def texts(count: int) -> list[tuple[str, str]]:
    """Distinct texts of four words with their labels."""
    found = []
    for number in range(count):
        label = list(WORDS)[number % len(WORDS)]
        words = [word for word in WORDS[label] if word.isascii()]
        at = number // len(WORDS)
        found.append((" ".join(words[at // 5**place % 5] for place in range(4)), label))
    assert len(set(found)) == count
    return found


def label_of(reply: pb.ClassifyResponse) -> str:
    return reply.results[0].classification.labels[0].label


def counters(process: ServerProcess) -> Counters:
    return parse(process.metrics())


async def settled(calls: list[Awaitable[pb.ClassifyResponse]]) -> list[pb.ClassifyResponse | BaseException]:
    return await asyncio.gather(*calls, return_exceptions=True)


async def busy(
    stub: Stub, process: ServerProcess, count: int, model: str = "one"
) -> list[asyncio.Task[pb.ClassifyResponse]]:
    """Calls that keep the workers busy for a while, once the server has them."""
    before = counters(process).batches

    async def call(text: str) -> pb.ClassifyResponse:
        return await stub.Classify(request(text, model), timeout=TIMEOUT)

    tasks = [asyncio.create_task(call(text)) for text, _ in texts(count)]
    await until(lambda: counters(process).batches > before)
    return tasks


async def test_overload_refuses_with_a_time_to_retry_and_answers_those_admitted(registry: Path) -> None:
    asked = texts(120)
    with server_process(registry, environment=SHORT_QUEUE) as process:
        async with calling(process) as stub:
            outcomes = await settled([stub.Classify(request(text), timeout=TIMEOUT) for text, _ in asked])
        dropped = counters(process).dropped
    refused = [each for each in outcomes if isinstance(each, grpc.aio.AioRpcError)]
    assert 0 < len(refused) < len(asked)
    for error in refused:
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        status = status_pb2.Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
        info = error_details_pb2.RetryInfo()
        assert any(detail.Unpack(info) for detail in status.details)
        assert info.retry_delay.ToNanoseconds() > 0
    for (_, label), reply in zip(asked, outcomes, strict=True):
        if isinstance(reply, pb.ClassifyResponse):
            assert label_of(reply) == label
    assert dropped["refused"] == len(refused)


async def test_a_few_texts_of_one_model_do_not_wait_for_the_crowd_of_another(patient: ServerProcess) -> None:
    async with calling(patient) as stub:
        crowd = await busy(stub, patient, 60, "one")
        few = [asyncio.create_task(_answer(stub, request(text, "two"))) for text, _ in texts(4)]
        await asyncio.gather(*few)
        left = sum(not task.done() for task in crowd)
        for task in crowd:
            task.cancel()
    assert left > 20


async def test_a_low_priority_text_is_answered_while_urgent_ones_keep_coming(patient: ServerProcess) -> None:
    async with calling(patient) as stub:
        low = asyncio.create_task(_answer(stub, request("bank rate", priority=pb.PRIORITY_LOW)))
        urgent = [asyncio.create_task(_urgent(stub, low, number)) for number in range(8)]
        assert label_of(await low) == "business"
        assert sum(await asyncio.gather(*urgent)) > 8


async def test_a_long_text_is_answered_while_short_ones_keep_coming(patient: ServerProcess) -> None:
    long = " ".join(["goal", "match", "team", "coach", "season"] * 5)
    async with calling(patient) as stub:
        crowd = await busy(stub, patient, 20)
        answered = asyncio.create_task(_answer(stub, request(long)))
        urgent = [asyncio.create_task(_urgent(stub, answered, number, pb.PRIORITY_NORMAL)) for number in range(8)]
        assert label_of(await answered) == "sports"
        await asyncio.gather(*crowd, *urgent)


async def _answer(stub: Stub, asked: pb.ClassifyRequest) -> pb.ClassifyResponse:
    return await stub.Classify(asked, timeout=TIMEOUT)


async def _urgent(
    stub: Stub,
    until: asyncio.Task[pb.ClassifyResponse],
    number: int,
    priority: pb.Priority.ValueType = pb.PRIORITY_HIGH,
) -> int:
    """One call after another until that one is answered; says how many."""
    made = 0
    words = [word for word in WORDS["technology"] if word.isascii()]
    while not until.done():
        text = f"{words[number % 5]} {words[made % 5]} {words[made // 5 % 5]}"
        assert label_of(await _answer(stub, request(text, priority=priority))) == "technology"
        made += 1
    return made


async def test_cancelled_texts_are_not_computed_and_their_neighbours_are(patient: ServerProcess) -> None:
    before = counters(patient)
    async with calling(patient) as stub:
        tasks = await busy(stub, patient, 30)
        await asyncio.sleep(0.2)  # until the server has all of them
        gone, stay = tasks[16:], tasks[:16]
        for task in gone:
            task.cancel()
        replies = await asyncio.gather(*stay)
        await _idle(patient)
    assert [label_of(reply) for reply in replies] == [label for _, label in texts(30)[:16]]
    found = counters(patient).since(before)
    assert found.dropped["cancelled"] > 0
    assert found.batch_texts + found.dropped["cancelled"] == 30


async def test_texts_whose_deadline_passed_leave_before_they_are_computed(patient: ServerProcess) -> None:
    before = counters(patient)
    async with calling(patient) as stub:
        crowd = await busy(stub, patient, 24)
        late = [stub.Classify(request(f"robot chip {text}"), timeout=0.1) for text, _ in texts(12)]
        outcomes = await settled(list(late))
        await asyncio.gather(*crowd)
        await _idle(patient)
    assert {each.code() for each in outcomes if isinstance(each, grpc.aio.AioRpcError)} == {
        grpc.StatusCode.DEADLINE_EXCEEDED
    }
    found = counters(patient).since(before)
    # either the line drops them, or the end of the call, which is noticed at the same time, takes them out
    left = found.dropped.get("expired", 0) + found.dropped.get("cancelled", 0)
    assert left > 0
    assert found.batch_texts + left <= 24 + 12
    assert found.batch_texts < 24 + 12


async def test_equal_texts_sent_at_once_are_computed_once(patient: ServerProcess) -> None:
    before = counters(patient)
    async with calling(patient) as stub:
        crowd = await busy(stub, patient, 8)
        replies = await asyncio.gather(*(_answer(stub, request("phone software robot data")) for _ in range(40)))
        await asyncio.gather(*crowd)
    assert {label_of(reply) for reply in replies} == {"technology"}
    found = counters(patient).since(before)
    assert found.batch_texts + found.coalesced == 8 + 40
    assert found.coalesced >= 30


async def _idle(process: ServerProcess) -> None:
    """Waits until no text waits any more."""
    name = "bertline_inference_queue_texts{"
    await until(lambda: all(line.endswith(" 0.0") for line in process.metrics().splitlines() if line.startswith(name)))


async def until(condition: Callable[[], bool]) -> None:
    """Asks another process again and again, which has no event to wait for."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
