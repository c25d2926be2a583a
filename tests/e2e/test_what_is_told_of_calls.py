"""Log lines and metrics of a real process: one line a call, names that stay, and never a caller's text."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from bertline.inference.v1 import inference_pb2 as pb
from bertline.inference.v1 import inference_pb2_grpc
from bertline.models.v1 import models_pb2
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from open_inference import grpc_service_pb2

from services.clients import InferenceClient, InvalidRequest, NotFound
from tests.fakes.server_process import ServerProcess, server_process
from tests.fakes.tiny_bundle import (
    publish_tiny,
    publish_tiny_embedding,
    publish_tiny_pair_scoring,
    publish_tiny_tagging,
)

SECRET = "Goal Geheimnis 机密"
WORDS = ("Geheimnis", "geheimnis", "机密", json.dumps("机密").strip('"'))
SERVICES = [
    pb.DESCRIPTOR.services_by_name["InferenceService"],
    models_pb2.DESCRIPTOR.services_by_name["ModelService"],
    grpc_service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"],
]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("registry")
    publish_tiny(folder, "tiny")
    publish_tiny_embedding(folder)
    publish_tiny_pair_scoring(folder)
    publish_tiny_tagging(folder)
    return folder


@pytest.fixture
def server(registry: Path) -> Iterator[ServerProcess]:
    with server_process(registry, "--access-log", "--log-level", "debug", "--cache-bytes", "1000000") as process:
        yield process


def stop(server: ServerProcess) -> None:
    """Afterwards every line is there."""
    server.process.send_signal(signal.SIGTERM)
    assert server.ended() == 0


def good(channel: grpc.Channel) -> None:
    """The secret as a text of every RPC, each of which is answered."""
    stub = inference_pb2_grpc.InferenceServiceStub(channel)
    text = pb.TextInput(text=SECRET)

    def of(name: str) -> pb.ModelSelector:
        return pb.ModelSelector(name=name)

    classify = pb.ClassifyRequest(model=of("tiny"), inputs=[text])
    for _ in range(2):  # the second time from the cache
        assert stub.Classify(classify, timeout=10).results[0].HasField("classification")
    assert stub.Embed(pb.EmbedRequest(model=of("vectors"), inputs=[text]), timeout=10).results
    score = pb.ScoreRequest(model=of("ranker"), query=SECRET, candidates=[SECRET, "bank"])
    assert stub.Score(score, timeout=10).results
    assert stub.Tag(pb.TagRequest(model=of("tagger"), inputs=[text]), timeout=10).results
    assert stub.Explain(pb.ExplainRequest(model=of("tiny"), input=text), timeout=10).words
    stream = [pb.StreamClassifyRequest(id="1", request=classify)]
    (answered,) = stub.StreamClassify(iter(stream), timeout=10)
    assert answered.HasField("response")


def filled(kind: Descriptor, depth: int = 0) -> Message:
    """A message with the secret in every string and in every bytes field, at every depth."""
    message = message_factory.GetMessageClass(kind)()
    for field in kind.fields:
        if depth > 4 or (field.message_type is not None and field.message_type.GetOptions().map_entry):
            continue
        if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
            value: Any = filled(field.message_type, depth + 1)
        elif field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
            value = SECRET.encode() if field.type == FieldDescriptor.TYPE_BYTES else SECRET
        else:
            continue
        if field.is_repeated:
            getattr(message, field.name).append(value)
        elif isinstance(value, Message):
            getattr(message, field.name).CopyFrom(value)
        else:
            setattr(message, field.name, value)
    return message


def send(channel: grpc.Channel, service: ServiceDescriptor, method: MethodDescriptor) -> None:
    """Calls the RPC with a message full of secrets, and with one that is no message at all."""
    path = f"/{service.full_name}/{method.name}"
    bodies = [filled(method.input_type).SerializeToString(), SECRET.encode()]
    for body in bodies:
        try:
            if method.client_streaming:
                list(channel.stream_stream(path)(iter([body]), timeout=10))
            else:
                channel.unary_unary(path)(body, timeout=10)
        except grpc.RpcError:
            pass  # what is refused is refused; here it is about what is told of it


def test_a_text_is_in_no_log_line_and_in_no_metric(server: ServerProcess) -> None:
    with grpc.insecure_channel(server.address) as channel:
        good(channel)
        for service in SERVICES:
            for method in service.methods:
                send(channel, service, method)
    metrics = server.metrics()
    stop(server)
    log = "".join(server.lines)
    assert not [word for word in WORDS if word in log], [line for line in server.lines if WORDS[0] in line]
    assert not [word for word in WORDS if word in metrics]
    assert all(line.startswith("{") for line in server.lines), "a line is no JSON object"
    assert len(server.events("call")) >= 7
    assert server.events("call failed")


def test_each_call_is_one_line_that_says_what_it_was(server: ServerProcess) -> None:
    with InferenceClient(server.address) as client:
        client.classify(["goal team", "bank"], model="tiny", correlation_id="first")
        with pytest.raises(NotFound):
            client.classify(["goal"], model="nobody", correlation_id="second")
        with pytest.raises(InvalidRequest):
            client.classify([], model="tiny", correlation_id="third")
    stop(server)
    told = {entry["correlation_id"]: entry for entry in server.events("call") + server.events("call failed")}
    assert set(told) == {"first", "second", "third"}
    first = told["first"]
    assert (first["rpc"], first["model"], first["version"], first["code"]) == ("Classify", "tiny", 1, "OK")
    assert (first["texts"], first["tokens"]) == (2, 7)
    assert 0 <= first["queue_ms"] + first["inference_ms"] <= first["total_ms"] + 1
    assert (told["second"]["code"], told["second"]["model"], told["second"]["version"]) == ("NOT_FOUND", "nobody", 0)
    assert told["second"]["reason"] == "MODEL_NOT_FOUND"
    assert (told["third"]["code"], told["third"]["model"]) == ("INVALID_ARGUMENT", "tiny")


def test_without_an_access_log_only_failures_are_told(registry: Path) -> None:
    with server_process(registry) as server:
        with InferenceClient(server.address) as client:
            client.classify(["goal"], model="tiny")
            with pytest.raises(NotFound):
                client.classify(["goal"], model="nobody", correlation_id="second")
        stop(server)
        assert not server.events("call")
        assert [entry["correlation_id"] for entry in server.events("call failed")] == ["second"]


def samples(page: str) -> dict[str, float]:
    """Samples of a metrics page by name and labels."""
    lines = [line for line in page.splitlines() if not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def test_metrics_count_by_the_model_that_answered(server: ServerProcess) -> None:
    with grpc.insecure_channel(server.address) as channel:
        good(channel)
    found = samples(server.metrics())
    prefix, tiny = "bertline_inference_", 'model="tiny",version="1"'
    assert found[prefix + 'requests_total{code="OK",model="tiny",rpc="Classify"}'] == 2
    assert found[prefix + 'requests_total{code="OK",model="vectors",rpc="Embed"}'] == 1
    assert found[prefix + 'requests_total{code="OK",model="tiny",rpc="StreamClassify"}'] == 1
    assert found[prefix + 'request_seconds_count{model="tagger",rpc="Tag"}'] == 1
    assert found[prefix + f"cache_hits_total{{{tiny}}}"] == 2
    assert found[prefix + f"cache_misses_total{{{tiny}}}"] == 1
    assert found[prefix + f"queue_seconds_count{{{tiny}}}"] >= 2
    assert found[prefix + f"queue_texts{{{tiny}}}"] == 0
    for reason in ("expired", "cancelled", "refused"):
        assert found[prefix + f'dropped_texts_total{{model="tiny",reason="{reason}",version="1"}}'] == 0
    assert found[prefix + 'model_info{labels="stable",model="tiny",variant="fp32",version="1"}'] == 1
    assert not [name for name in found if not re.match(r"bertline_inference_[a-z_]+(\{|$)", name)]


def test_names_that_callers_make_up_become_no_labels(server: ServerProcess) -> None:
    with InferenceClient(server.address) as client:
        for number in range(20):
            with pytest.raises(NotFound):
                client.classify(["goal"], model=f"made-up-{number}")
    page = server.metrics()
    assert "made-up" not in page
    assert samples(page)['bertline_inference_requests_total{code="NOT_FOUND",model="",rpc="Classify"}'] == 20
