"""InferenceService on a real server with real models, through the generated stubs."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import pytest
from bertline.inference.v1 import inference_pb2 as pb
from bertline.inference.v1 import inference_pb2_grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from hypothesis import given, settings
from hypothesis import strategies as st

from services.inference.assembly import InferenceServer
from services.inference.settings import InferenceSettings
from services.inference.versions.models import NothingLoaded
from tests.fakes.running_server import running_server
from tests.fakes.tiny_bundle import LABELS, publish_tiny

TEXTS = {"the bank cut its rate": "business", "球队赢了比赛": "sports", "robot software": "technology"}
TIMEOUT = 10.0


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("registry")
    publish_tiny(folder, "tiny")
    publish_tiny(folder, "tiny", label="canary")
    publish_tiny(folder, "pairs", pair=True)
    return folder


@pytest.fixture(scope="module")
def stub(registry: Path) -> Iterator[inference_pb2_grpc.InferenceServiceStub]:
    with (
        running_server(InferenceSettings(registry=str(registry), port=0)) as target,
        grpc.insecure_channel(target) as channel,
    ):
        yield inference_pb2_grpc.InferenceServiceStub(channel)


def request(*texts: str, model: str = "tiny", **selection: int | str) -> pb.ClassifyRequest:
    selector = pb.ModelSelector(name=model, **selection)  # type: ignore[arg-type]
    return pb.ClassifyRequest(model=selector, inputs=[pb.TextInput(text=text) for text in texts])


def status_of(error: grpc.RpcError) -> status_pb2.Status:
    trailing = dict(error.trailing_metadata())  # type: ignore[attr-defined]
    return status_pb2.Status.FromString(trailing["grpc-status-details-bin"])


def info_of(status: status_pb2.Status) -> error_details_pb2.ErrorInfo:
    info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(info) for detail in status.details)
    return info


def failure(
    stub: inference_pb2_grpc.InferenceServiceStub, asked: pb.ClassifyRequest
) -> tuple[grpc.StatusCode, str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        stub.Classify(asked, timeout=TIMEOUT)
    return caught.value.code(), info_of(status_of(caught.value)).reason, caught.value.details()  # type: ignore[attr-defined]


def test_texts_get_their_labels_in_order(stub: inference_pb2_grpc.InferenceServiceStub) -> None:
    reply = stub.Classify(request(*TEXTS), timeout=TIMEOUT)
    assert [result.classification.labels[0].label for result in reply.results] == list(TEXTS.values())
    assert (reply.model.name, reply.model.version, reply.model.variant) == ("tiny", 1, "fp32")
    assert reply.timings.total_us >= reply.timings.inference_us > 0


def test_all_labels_sum_to_one_and_come_best_first(stub: inference_pb2_grpc.InferenceServiceStub) -> None:
    asked = request("robot and bank")
    asked.top_k = 0
    labels = stub.Classify(asked, timeout=TIMEOUT).results[0].classification.labels
    assert {label.label for label in labels} == set(LABELS)
    assert sum(label.probability for label in labels) == pytest.approx(1.0, abs=1e-5)
    assert [label.probability for label in labels] == sorted((label.probability for label in labels), reverse=True)


def test_a_version_or_a_label_chooses_the_model(stub: inference_pb2_grpc.InferenceServiceStub) -> None:
    assert stub.Classify(request("bank", version=2), timeout=TIMEOUT).model.version == 2
    assert stub.Classify(request("bank", label="canary"), timeout=TIMEOUT).model.version == 2
    assert stub.Classify(request("bank", label="stable"), timeout=TIMEOUT).model.version == 1


def test_one_bad_text_does_not_fail_its_neighbours(stub: inference_pb2_grpc.InferenceServiceStub) -> None:
    asked = request("the bank", "", " \n", "x" * 1_000_000, "球队")
    asked.inputs.add(text="a", text_pair="b")
    reply = stub.Classify(asked, timeout=TIMEOUT)
    assert [result.WhichOneof("outcome") for result in reply.results] == [
        *("classification", "error", "error", "error", "classification", "error")
    ]
    reasons = [info_of(result.error).reason for result in reply.results if result.HasField("error")]
    assert reasons == ["TEXT_EMPTY", "TEXT_EMPTY", "TEXT_TOO_LONG", "PAIR_NOT_TAKEN"]
    violation = error_details_pb2.BadRequest()
    assert any(detail.Unpack(violation) for detail in reply.results[3].error.details)
    assert violation.field_violations[0].field == "inputs[3].text"


def test_a_model_of_pairs_wants_pairs(stub: inference_pb2_grpc.InferenceServiceStub) -> None:
    asked = request("the bank", model="pairs")
    asked.inputs.add(text="goal", text_pair="match")
    first, second = stub.Classify(asked, timeout=TIMEOUT).results
    assert info_of(first.error).reason == "PAIR_MISSING"
    assert second.classification.labels[0].label == "sports"


def test_a_long_text_is_cut_and_says_so(stub: inference_pb2_grpc.InferenceServiceStub) -> None:
    result = stub.Classify(request("goal " * 500), timeout=TIMEOUT).results[0].classification
    assert result.truncated
    assert result.token_count == 32


@pytest.mark.parametrize(
    ("asked", "code", "reason", "part"),
    [
        (request("x", model="nope"), grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND", "this server has 'pairs', 'tiny'"),
        (request("x", model=""), grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND", "name the model"),
        (request("x", version=9), grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND", "loaded: 1, 2"),
        (request("x", label="beta"), grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND", "labels: canary, stable"),
        (request("x", model="x" * 9_000), grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_NAME", "not a name"),
        (request("x", label="Not A Label"), grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_NAME", "not a name"),
        (request(), grpc.StatusCode.INVALID_ARGUMENT, "NO_INPUTS", "at least one text"),
        (request(*["x"] * 10_000), grpc.StatusCode.INVALID_ARGUMENT, "TOO_MANY_INPUTS", "more than 256"),
        (
            pb.ClassifyRequest(model=pb.ModelSelector(name="tiny"), inputs=[pb.TextInput(text="x")], top_k=-1),
            *(grpc.StatusCode.INVALID_ARGUMENT, "NEGATIVE_TOP_K", "0 (all) or more"),
        ),
    ],
)
def test_a_senseless_call_is_refused_with_what_to_do(
    stub: inference_pb2_grpc.InferenceServiceStub,
    asked: pb.ClassifyRequest,
    code: grpc.StatusCode,
    reason: str,
    part: str,
) -> None:
    actual, why, message = failure(stub, asked)
    assert (actual, why) == (code, reason)
    assert part in message


def test_an_oversized_message_is_refused_and_the_server_goes_on(stub: inference_pb2_grpc.InferenceServiceStub) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        stub.Classify(request("x" * 20_000_000), timeout=TIMEOUT)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED  # type: ignore[attr-defined]
    assert stub.Classify(request("bank"), timeout=TIMEOUT).results[0].classification.labels


def test_the_callers_correlation_id_comes_back_and_a_wild_one_does_not(
    stub: inference_pb2_grpc.InferenceServiceStub,
) -> None:
    for sent, kept in (("order-17/a", True), ("no spaces please", False)):
        _, call = stub.Classify.with_call(request("bank"), timeout=TIMEOUT, metadata=(("x-correlation-id", sent),))
        returned = dict(call.trailing_metadata())["x-correlation-id"]
        assert (returned == sent) is kept
        assert returned


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(st.text(st.characters(codec="utf-8"), max_size=80), max_size=6),
    top_k=st.none() | st.integers(-2, 5),
    model=st.sampled_from(["tiny", "pairs", "", "x"]) | st.text(st.characters(codec="utf-8"), max_size=5),
)
def test_any_request_gets_an_answer_or_a_proper_status(
    stub: inference_pb2_grpc.InferenceServiceStub, texts: list[str], top_k: int | None, model: str
) -> None:
    asked = request(*texts, model=model)
    if top_k is not None:
        asked.top_k = top_k
    try:
        reply = stub.Classify(asked, timeout=TIMEOUT)
    except grpc.RpcError as error:
        assert error.code() in {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT}  # type: ignore[attr-defined]
        assert info_of(status_of(error)).domain == "bertline"
    else:
        assert len(reply.results) == len(texts)
        assert all(result.WhichOneof("outcome") for result in reply.results)


@pytest.fixture
async def server(registry: Path) -> AsyncIterator[InferenceServer]:
    configured = InferenceSettings(registry=str(registry), port=0, threads=2)
    running = await InferenceServer.start(configured, serve_metrics=False)
    yield running
    await running.stop(5.0)


async def test_a_hundred_callers_half_of_whom_go_away_each_get_their_own_answer(server: InferenceServer) -> None:
    choice = random.Random(3)
    wanted = list(TEXTS.items())
    before = len(asyncio.all_tasks())
    answered = gone = 0
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub = inference_pb2_grpc.InferenceServiceStub(channel)

        async def caller(number: int, leaves: bool) -> None:
            nonlocal answered, gone
            for turn in range(10):
                picked = [wanted[choice.randrange(3)] for _ in range(choice.randint(1, 5))]
                timeout = choice.choice([0.0005, 0.002, 0.01]) if leaves and turn % 2 else TIMEOUT
                call = stub.Classify(
                    request(*(f"{text} {'padding ' * (number % 9)}" for text, _ in picked)), timeout=timeout
                )
                if leaves and turn % 3 == 0:
                    await asyncio.sleep(choice.random() / 200)
                    call.cancel()
                try:
                    reply = await call
                except asyncio.CancelledError:
                    gone += 1
                except grpc.RpcError as error:
                    assert error.code() in {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}
                    gone += 1
                else:
                    assert [result.classification.labels[0].label for result in reply.results] == [
                        label for _, label in picked
                    ]
                    answered += 1

        await asyncio.wait_for(asyncio.gather(*(caller(n, n % 2 == 0) for n in range(100))), 60)
    assert answered >= 500  # those who stay are always answered
    assert gone > 100
    lanes = [model.lane for model in server.models.loaded()]
    for _ in range(500):
        if all(lane.running_batches == 0 for lane in lanes) and len(asyncio.all_tasks()) <= before:
            break
        await asyncio.sleep(0.01)
    assert all((each.queued_texts, each.queued_tokens, each.running_batches) == (0, 0, 0) for each in lanes)
    assert len(asyncio.all_tasks()) <= before


async def test_draining_turns_health_and_finishes_what_runs(registry: Path) -> None:
    running = await InferenceServer.start(InferenceSettings(registry=str(registry), port=0), serve_metrics=False)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{running.port}") as channel:
        health = health_pb2_grpc.HealthStub(channel)
        stub = inference_pb2_grpc.InferenceServiceStub(channel)
        watch = health.Watch(health_pb2.HealthCheckRequest(service="bertline.inference.v1.InferenceService"))
        states = aiter(watch)
        assert (await anext(states)).status == health_pb2.HealthCheckResponse.SERVING
        calls = [asyncio.ensure_future(_classify(stub)) for _ in range(20)]
        await asyncio.sleep(0.005)
        stopping = asyncio.create_task(running.stop(10.0))
        assert (await anext(states)).status == health_pb2.HealthCheckResponse.NOT_SERVING
        watch.cancel()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        await stopping
    for outcome in outcomes:
        if isinstance(outcome, grpc.RpcError):
            assert outcome.code() is grpc.StatusCode.UNAVAILABLE
        else:
            assert outcome == "business"


async def _classify(stub: inference_pb2_grpc.InferenceServiceStub) -> str:
    reply = await stub.Classify(request("the bank"), timeout=TIMEOUT)  # type: ignore[misc]
    return str(reply.results[0].classification.labels[0].label)


async def test_an_overloaded_server_says_when_to_come_back(registry: Path) -> None:
    small = InferenceSettings(
        registry=str(registry), port=0, max_batch_tokens=32, max_queue_tokens=32, max_batch_texts=1, threads=1
    )
    running = await InferenceServer.start(small, serve_metrics=False)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{running.port}") as channel:
        stub = inference_pb2_grpc.InferenceServiceStub(channel)
        # no two alike: equal texts in flight are computed once, and cost a queue nothing
        texts = [" ".join("goal" if number >> bit & 1 else "match" for bit in range(30)) for number in range(320)]
        calls = [stub.Classify(request(*texts[8 * n : 8 * n + 8]), timeout=TIMEOUT) for n in range(40)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    await running.stop(5.0)
    refused = [outcome for outcome in outcomes if isinstance(outcome, grpc.RpcError)]
    assert refused
    assert len(refused) < len(outcomes)
    for error in refused:
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        retry = error_details_pb2.RetryInfo()
        assert any(detail.Unpack(retry) for detail in status_of(error).details)
        assert retry.retry_delay.ToMilliseconds() >= 50


def spoil(folder: Path, how: str) -> None:
    """Damages a published bundle as disks, copies and people do."""
    onnx = folder / "fp32.onnx"
    if how == "changed":
        data = bytearray(onnx.read_bytes())
        data[100] ^= 1
        onnx.write_bytes(data)
    elif how == "missing":
        (folder / "tokenizer.json").unlink()
    elif how == "truncated":
        onnx.write_bytes(onnx.read_bytes()[:-50])
    elif how == "unknown field":
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        (folder / "manifest.json").write_text(json.dumps({**manifest, "surprise": 1}), encoding="utf-8")
    else:
        (folder / "manifest.json").write_text("{", encoding="utf-8")


@pytest.mark.parametrize(
    ("how", "part"),
    [
        ("changed", "SHA-256"),
        ("missing", "missing"),
        ("truncated", "bytes instead of"),
        ("unknown field", "surprise"),
        ("cut", "JSON"),
    ],
)
async def test_a_malformed_bundle_is_left_out_and_its_neighbour_serves(tmp_path: Path, how: str, part: str) -> None:
    publish_tiny(tmp_path, "good")
    spoil(publish_tiny(tmp_path, "bad").path, how)
    running = await InferenceServer.start(InferenceSettings(registry=str(tmp_path), port=0), serve_metrics=False)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{running.port}") as channel:
        stub = inference_pb2_grpc.InferenceServiceStub(channel)
        assert (await stub.Classify(request("bank", model="good"), timeout=TIMEOUT)).results  # type: ignore[misc]
        with pytest.raises(grpc.RpcError) as caught:
            await stub.Classify(request("bank", model="bad"), timeout=TIMEOUT)  # type: ignore[misc]
    await running.stop(5.0)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND  # type: ignore[attr-defined]
    assert part in caught.value.details()  # type: ignore[attr-defined]


async def test_nothing_to_serve_is_an_error_that_says_why(tmp_path: Path) -> None:
    with pytest.raises(NothingLoaded, match="holds no labelled model"):
        await InferenceServer.start(InferenceSettings(registry=str(tmp_path), port=0), serve_metrics=False)
    spoil(publish_tiny(tmp_path, "bad").path, "missing")
    with pytest.raises(NothingLoaded, match=r"bad: .*tokenizer.json: missing"):
        await InferenceServer.start(InferenceSettings(registry=str(tmp_path), port=0), serve_metrics=False)
