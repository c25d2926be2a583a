"""StreamClassify on a real server: order, failures in the middle, flow control, draining, callers that go away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import grpc
import pytest
from bertline.inference.v1 import inference_pb2 as pb
from bertline.inference.v1 import inference_pb2_grpc

from services.inference.assembly import InferenceServer
from services.inference.settings import InferenceSettings
from tests.fakes.failed_calls import failed, status_of
from tests.fakes.tiny_bundle import publish_tiny

TIMEOUT = 20.0
WORDS = {"bank": "business", "球队": "sports", "robot": "technology"}
Stub = inference_pb2_grpc.InferenceServiceStub


def request(number: int, text: str = "bank", model: str = "tiny") -> pb.StreamClassifyRequest:
    asked = pb.ClassifyRequest(model=pb.ModelSelector(name=model), inputs=[pb.TextInput(text=text)], top_k=0)
    return pb.StreamClassifyRequest(id=f"n-{number}", request=asked)


def label(response: pb.StreamClassifyResponse) -> str:
    return response.response.results[0].classification.labels[0].label


def test_answers_come_in_order_with_their_ids(tasks: Stub) -> None:
    words = list(WORDS) * 200
    sent = (request(n, f"{word} {'x ' * (n % 20)}") for n, word in enumerate(words))
    received = list(tasks.StreamClassify(sent, timeout=TIMEOUT))
    assert [each.id for each in received] == [f"n-{n}" for n in range(600)]
    assert [label(each) for each in received] == [WORDS[word] for word in words]


def test_a_stream_of_nothing_ends_well(tasks: Stub) -> None:
    assert list(tasks.StreamClassify(iter(()), timeout=TIMEOUT)) == []


def test_a_request_that_fails_is_answered_and_the_stream_goes_on(tasks: Stub) -> None:
    long_id = pb.StreamClassifyRequest(id="x" * 257, request=request(0).request)
    sent = [request(0), request(1, model="nope"), pb.StreamClassifyRequest(id="empty"), long_id, request(2, "")]
    sent += [request(3, model="tagger"), request(4)]
    received = list(tasks.StreamClassify(iter(sent), timeout=TIMEOUT))
    assert [each.id for each in received] == ["n-0", "n-1", "empty", "x" * 257, "n-2", "n-3", "n-4"]
    errors = {each.id[:5]: failed(each.error) for each in received if each.WhichOneof("outcome") == "error"}
    assert {name: (error.code, error.reason) for name, error in errors.items()} == {
        "n-1": ("NOT_FOUND", "MODEL_NOT_FOUND"),
        "empty": ("NOT_FOUND", "MODEL_NOT_FOUND"),
        "xxxxx": ("INVALID_ARGUMENT", "ID_TOO_LONG"),
        "n-3": ("FAILED_PRECONDITION", "TASK_NOT_SERVED"),
    }
    assert failed(received[4].response.results[0].error).reason == "TEXT_EMPTY"
    assert label(received[6]) == "business"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[InferenceServer]:
    publish_tiny(tmp_path)
    configured = InferenceSettings(registry=str(tmp_path), port=0, threads=2)
    running = await InferenceServer.start(configured, serve_metrics=False)
    yield running
    await running.stop(5.0)


async def test_a_caller_may_ask_one_by_one(server: InferenceServer) -> None:
    """Each answer comes without a further request: nothing waits for a batch to fill."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        call = Stub(channel).StreamClassify(timeout=TIMEOUT)
        for number, (word, wanted) in enumerate(WORDS.items()):
            await call.write(request(number, word))
            answer = await call.read()
            assert (answer.id, label(answer)) == (f"n-{number}", wanted)
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF


async def eventually(holds: Callable[[], bool]) -> bool:
    for _ in range(500):
        if holds():
            return True
        await asyncio.sleep(0.01)
    return False


async def test_a_caller_that_does_not_read_is_not_read_from(server: InferenceServer) -> None:
    """How far it gets ahead is bounded by the 64 requests worked on and by HTTP/2's windows, not by its eagerness."""
    sent = 0

    async def eager() -> AsyncIterator[pb.StreamClassifyRequest]:
        nonlocal sent
        # long requests and long answers, so that megabytes of windows are soon full
        asked = request(0, "bank " + "x" * 15_000)
        asked.request.inputs.extend([pb.TextInput(text="bank")] * 128)
        for number in range(8_000):
            sent = number + 1
            yield asked

    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        call = Stub(channel).StreamClassify(eager(), timeout=60.0)
        assert await eventually(lambda: sent > 0)
        before = -1
        while before != sent:  # until nothing moves any more
            before = sent
            await asyncio.sleep(0.5)
        assert sent < 4_000
        for _ in range(600):
            await call.read()
        assert await eventually(lambda: sent > before)
        call.cancel()


async def test_a_caller_that_goes_away_leaves_nothing_behind(server: InferenceServer) -> None:
    before = len(asyncio.all_tasks())

    async def endless() -> AsyncIterator[pb.StreamClassifyRequest]:
        number = 0
        while True:
            number += 1
            yield request(number)

    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        for received in (0, 1, 50):
            call = Stub(channel).StreamClassify(endless(), timeout=TIMEOUT)
            for _ in range(received):
                assert label(await call.read()) == "business"
            call.cancel()
    lanes = [model.lane for model in server.models.loaded()]
    assert await eventually(
        lambda: all((each.queued_texts, each.queued_tokens, each.running_batches) == (0, 0, 0) for each in lanes)
    )
    assert await eventually(lambda: len(asyncio.all_tasks()) <= before)


async def test_a_deadline_ends_a_stream_that_waits_for_its_caller(server: InferenceServer) -> None:
    async def silent() -> AsyncIterator[pb.StreamClassifyRequest]:
        yield request(0)
        await asyncio.Event().wait()

    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        call = Stub(channel).StreamClassify(silent(), timeout=0.5)
        assert label(await call.read()) == "business"
        with pytest.raises(grpc.RpcError) as caught:
            await call.read()
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_draining_server_answers_what_it_has_read_and_then_sends_the_caller_away(tmp_path: Path) -> None:
    publish_tiny(tmp_path)
    running = await InferenceServer.start(InferenceSettings(registry=str(tmp_path), port=0), serve_metrics=False)

    async def goes_on() -> AsyncIterator[pb.StreamClassifyRequest]:
        for number in range(10):
            yield request(number)
        await asyncio.Event().wait()

    async with grpc.aio.insecure_channel(f"127.0.0.1:{running.port}") as channel:
        call = Stub(channel).StreamClassify(goes_on(), timeout=TIMEOUT)
        received = [await call.read() for _ in range(10)]
        stopping = asyncio.create_task(running.stop(10.0))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        await stopping
    assert [each.id for each in received] == [f"n-{number}" for number in range(10)]
    refused = failed(status_of(caught.value))
    assert (refused.code, refused.reason) == ("UNAVAILABLE", "DRAINING")


async def test_a_message_that_is_no_message_ends_the_stream_with_a_proper_status(server: InferenceServer) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        raw = channel.stream_stream("/bertline.inference.v1.InferenceService/StreamClassify")
        call = raw(iter([request(0).SerializeToString(), b"\xff\xff\xff"]), timeout=TIMEOUT)
        assert label(pb.StreamClassifyResponse.FromString(await call.read())) == "business"
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        assert (await Stub(channel).Classify(request(0).request, timeout=TIMEOUT)).results
    refused = failed(status_of(caught.value))
    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "MALFORMED_MESSAGE")
