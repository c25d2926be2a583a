"""The model repository of the Open Inference Protocol on a real server: index, load, unload."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from open_inference import grpc_service_pb2 as pb
from open_inference import grpc_service_pb2_grpc

from export.registry import Registry
from export.serving import Target
from services.inference.settings import InferenceSettings
from tests.fakes.running_server import running_server
from tests.fakes.tiny_bundle import publish_tiny

TIMEOUT = 10.0
Stub = grpc_service_pb2_grpc.GRPCInferenceServiceStub
Index = list[tuple[str, str, str]]


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """tiny: 1 is stable, 2 canary, 3 has no label. broken: 1 is stable, and cannot be loaded. bare has no label."""
    publish_tiny(tmp_path)
    publish_tiny(tmp_path, label="canary")
    publish_tiny(tmp_path, label=None)
    broken = publish_tiny(tmp_path, "broken")
    (broken.path / "fp32.onnx").rename(broken.path / "aside")
    publish_tiny(tmp_path, "bare", label=None)
    return Registry(str(tmp_path))


@pytest.fixture
def stub(registry: Registry) -> Iterator[Stub]:
    settings = InferenceSettings(registry=registry.url, port=0, registry_poll_s=0)
    with running_server(settings) as target, grpc.insecure_channel(target) as channel:
        yield Stub(channel)


def index(stub: Stub, ready: bool = False) -> Index:
    response = stub.RepositoryIndex(pb.RepositoryIndexRequest(ready=ready), timeout=TIMEOUT)
    return [(each.name, each.version, each.state) for each in response.models]


def reasons(stub: Stub) -> dict[str, str]:
    response = stub.RepositoryIndex(pb.RepositoryIndexRequest(), timeout=TIMEOUT)
    return {f"{each.name}:{each.version}": each.reason for each in response.models}


def until(stub: Stub, wanted: Index) -> None:
    """Unloading ends after the answer to the request for it."""
    for _ in range(500):
        if index(stub) == wanted:
            return
        time.sleep(0.02)
    assert index(stub) == wanted


def load(stub: Stub, name: str) -> None:
    stub.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name=name), timeout=TIMEOUT)


def unload(stub: Stub, name: str) -> None:
    stub.RepositoryModelUnload(pb.RepositoryModelUnloadRequest(model_name=name), timeout=TIMEOUT)


def infer(stub: Stub, model: str = "tiny", version: str = "") -> pb.ModelInferResponse:
    tensor = pb.ModelInferRequest.InferInputTensor(name="text", datatype="BYTES", shape=[1])
    tensor.contents.bytes_contents.append(b"the bank")
    request = pb.ModelInferRequest(model_name=model, model_version=version, inputs=[tensor])
    return stub.ModelInfer(request, timeout=TIMEOUT)


START: Index = [
    ("bare", "", "UNAVAILABLE"),
    ("broken", "1", "UNAVAILABLE"),
    ("tiny", "1", "READY"),
    ("tiny", "2", "READY"),
]


def test_the_index_lists_what_is_loaded_and_why_something_is_not(stub: Stub) -> None:
    assert index(stub) == START
    assert index(stub, ready=True) == START[2:]
    why = reasons(stub)
    assert "no label 'stable'" in why["bare:"]
    assert "fp32.onnx: missing" in why["broken:1"]
    assert why["tiny:1"] == ""


def test_an_unloaded_model_is_away_until_it_is_loaded_again(stub: Stub) -> None:
    unload(stub, "tiny")
    ready = pb.ModelReadyRequest(name="tiny")
    assert not stub.ModelReady(ready, timeout=TIMEOUT).ready
    with pytest.raises(grpc.RpcError) as caught:
        infer(stub)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    until(stub, [*START[:2], ("tiny", "1", "UNAVAILABLE"), ("tiny", "2", "UNAVAILABLE")])
    assert "unloaded from this server by a client" in reasons(stub)["tiny:1"]
    load(stub, "tiny")
    assert index(stub) == START
    assert stub.ModelReady(ready, timeout=TIMEOUT).ready
    assert infer(stub).model_version == "1"


def test_loading_reads_the_registry_anew_and_tries_again_what_failed(stub: Stub, registry: Registry) -> None:
    registry.set_label("tiny", "stable", 3)
    load(stub, "tiny")
    assert infer(stub).model_version == "3"
    (Path(registry.url) / "broken" / "1" / "aside").rename(Path(registry.url) / "broken" / "1" / "fp32.onnx")
    load(stub, "broken")
    assert infer(stub, "broken").model_version == "1"
    registry.pin("bare", 1)
    load(stub, "bare")
    assert infer(stub, "bare", "1").model_version == "1"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("absent", grpc.StatusCode.NOT_FOUND),
        ("", grpc.StatusCode.NOT_FOUND),
        ("../tiny", grpc.StatusCode.INVALID_ARGUMENT),
        ("x" * 9000, grpc.StatusCode.NOT_FOUND),
        ("broken", grpc.StatusCode.FAILED_PRECONDITION),
        ("bare", grpc.StatusCode.NOT_FOUND),
    ],
)
def test_what_cannot_be_loaded_says_so(stub: Stub, name: str, code: grpc.StatusCode) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        load(stub, name)
    assert caught.value.code() is code
    if code is grpc.StatusCode.NOT_FOUND and name != "bare":
        with pytest.raises(grpc.RpcError) as caught:
            unload(stub, name)
        assert caught.value.code() is code
    assert index(stub) == START


def test_a_bundle_is_served_as_it_was_proven(stub: Stub) -> None:
    request = pb.RepositoryModelLoadRequest(model_name="tiny")
    request.parameters["config"].string_param = "{}"
    with pytest.raises(grpc.RpcError) as caught:
        stub.RepositoryModelLoad(request, timeout=TIMEOUT)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_split_traffic_is_answered_by_the_version_that_read_the_inputs(stub: Stub, registry: Registry) -> None:
    publish_tiny(Path(registry.url), label=None, max_length=8)
    registry.set_split("tiny", [(Target(version=4), 50)])
    load(stub, "tiny")
    ids = pb.ModelInferRequest.InferInputTensor(name="input_ids", datatype="INT64", shape=[1, 12])
    ids.contents.int64_contents.extend([2, *[5] * 10, 3])
    mask = pb.ModelInferRequest.InferInputTensor(name="attention_mask", datatype="INT64", shape=[1, 12])
    mask.contents.int64_contents.extend([1] * 12)
    seen = set()
    for _ in range(60):
        try:
            reply = stub.ModelInfer(pb.ModelInferRequest(model_name="tiny", inputs=[ids, mask]), timeout=TIMEOUT)
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert "8 tokens" in error.details()
            seen.add("short")
        else:
            assert reply.model_version == "1"
            seen.add("long")
    assert seen == {"short", "long"}
