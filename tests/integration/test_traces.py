"""Traces of a real server, as a collector gets them over OTLP."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from bertline.inference.v1 import inference_pb2 as pb
from bertline.inference.v1 import inference_pb2_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from services.inference.settings import InferenceSettings
from services.platform.server import ServerNotStarted
from services.platform.telemetry import Tracing
from tests.fakes.running_server import running_server
from tests.fakes.tiny_bundle import publish_tiny
from tests.fakes.trace_collector import TraceCollector, attributes, trace_collector

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = (("traceparent", f"00-{TRACE}-{CALLER}-01"),)
NOT_SAMPLED = (("traceparent", f"00-{TRACE}-{CALLER}-00"),)
SECRET = "goal bank geheimnis"


@contextmanager
def traced(folder: Path, ratio: float) -> Iterator[tuple[inference_pb2_grpc.InferenceServiceStub, TraceCollector]]:
    """A server whose spans reach the collector at the latest when the block ends."""
    publish_tiny(folder)
    with trace_collector() as (collector, endpoint):
        settings = InferenceSettings(registry=str(folder), port=0, otlp_endpoint=endpoint, trace_ratio=ratio)
        with running_server(settings) as address, grpc.insecure_channel(address) as channel:
            yield inference_pb2_grpc.InferenceServiceStub(channel), collector


def request(*texts: str) -> pb.ClassifyRequest:
    return pb.ClassifyRequest(inputs=[pb.TextInput(text=text) for text in texts])


def by_name(spans: list[Span]) -> dict[str, Span]:
    assert len({span.name for span in spans}) == len(spans), [span.name for span in spans]
    return {span.name: span for span in spans}


def test_a_sampled_callers_trace_goes_on_with_the_stages_of_its_call(tmp_path: Path) -> None:
    with traced(tmp_path, ratio=0.0) as (stub, collector):
        stub.Classify(request("goal team", "bank"), metadata=SAMPLED, timeout=10)
    spans = by_name(collector.spans)
    assert set(spans) == {"Classify", "tokenization", "queue", "compute"}
    call = spans["Classify"]
    assert call.trace_id.hex() == TRACE
    assert call.parent_span_id.hex() == CALLER
    assert call.kind == Span.SPAN_KIND_SERVER
    assert collector.services == {"bertline-inference"}
    for name in ("tokenization", "queue", "compute"):
        assert spans[name].parent_span_id == call.span_id
        assert spans[name].trace_id == call.trace_id
        assert call.start_time_unix_nano <= spans[name].start_time_unix_nano <= spans[name].end_time_unix_nano
    assert spans["tokenization"].end_time_unix_nano <= spans["queue"].start_time_unix_nano
    assert spans["queue"].end_time_unix_nano == spans["compute"].start_time_unix_nano


def test_spans_carry_counts_and_names_and_no_texts(tmp_path: Path) -> None:
    with traced(tmp_path, ratio=0.0) as (stub, collector):
        stub.Classify(request("goal team", "bank", SECRET), metadata=SAMPLED, timeout=10)
    spans = by_name(collector.spans)
    call = attributes(spans["Classify"].attributes)
    tokens = 4 + 3 + 5  # words, and two special tokens a text
    assert call == {
        "rpc.system.name": "grpc",
        "rpc.method": "Classify",
        "rpc.response.status_code": "OK",
        "bertline.model": "tiny",
        "bertline.version": 1,
        "bertline.variant": "fp32",
        "bertline.texts": 3,
        "bertline.tokens": tokens,
    }
    assert attributes(spans["tokenization"].attributes) == {"bertline.texts": 3}
    assert attributes(spans["queue"].attributes) == {"bertline.tokens": tokens}
    batch = attributes(spans["compute"].attributes)
    assert batch["bertline.tokens"] == tokens
    assert 1 <= batch["bertline.batch_texts"] <= 3
    assert "geheimnis" not in "".join(map(str, collector.spans))


def test_who_says_nothing_is_sampled_by_the_ratio_and_who_says_no_is_not(tmp_path: Path) -> None:
    with traced(tmp_path / "all", ratio=1.0) as (stub, collector):
        stub.Classify(request("goal"), metadata=NOT_SAMPLED, timeout=10)
        stub.Classify(request("goal"), timeout=10)
    (call,) = [span for span in collector.spans if span.name == "Classify"]
    assert not call.parent_span_id
    with traced(tmp_path / "none", ratio=0.0) as (stub, collector):
        stub.Classify(request("goal"), timeout=10)
    assert not collector.spans


def test_failures_are_spans_with_their_status_and_only_ours_are_errors(tmp_path: Path) -> None:
    with traced(tmp_path, ratio=1.0) as (stub, collector):
        with pytest.raises(grpc.RpcError):
            stub.Classify(pb.ClassifyRequest(model=pb.ModelSelector(name="none")), timeout=10)
        with pytest.raises(grpc.RpcError):
            stub.Classify(request(), timeout=10)
    codes = {attributes(span.attributes)["rpc.response.status_code"]: span for span in collector.spans}
    assert set(codes) == {"NOT_FOUND", "INVALID_ARGUMENT"}
    assert all(span.status.code == Status.STATUS_CODE_UNSET for span in codes.values())
    assert "none" not in str(codes["NOT_FOUND"])


def test_messages_of_a_stream_are_spans_within_that_of_the_stream(tmp_path: Path) -> None:
    with traced(tmp_path, ratio=0.0) as (stub, collector):
        messages = [pb.StreamClassifyRequest(id=str(number), request=request("goal")) for number in range(3)]
        assert len(list(stub.StreamClassify(iter(messages), metadata=SAMPLED, timeout=10))) == 3
    (stream,) = [span for span in collector.spans if span.name == "StreamClassify"]
    parts = [span for span in collector.spans if span.name == "message"]
    assert stream.parent_span_id.hex() == CALLER
    assert [part.parent_span_id for part in parts] == [stream.span_id] * 3
    computed = [span for span in collector.spans if span.name == "compute"]
    assert {span.parent_span_id for span in computed} == {part.span_id for part in parts}


def test_a_malformed_traceparent_is_no_fault_of_the_call(tmp_path: Path) -> None:
    with traced(tmp_path, ratio=0.0) as (stub, collector):
        for value in ("", "00-zz", f"00-{'0' * 32}-{CALLER}-01", "x" * 500):
            stub.Classify(request("goal"), metadata=(("traceparent", value),), timeout=10)
    assert not collector.spans


def test_a_collector_that_is_away_does_not_fail_calls(tmp_path: Path) -> None:
    publish_tiny(tmp_path)
    settings = InferenceSettings(registry=str(tmp_path), port=0, otlp_endpoint="http://127.0.0.1:1", trace_ratio=1.0)
    with running_server(settings) as address, grpc.insecure_channel(address) as channel:
        stub = inference_pb2_grpc.InferenceServiceStub(channel)
        assert stub.Classify(request("goal"), timeout=10).results


def test_without_the_extra_the_server_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.grpc.trace_exporter", None)
    with pytest.raises(ServerNotStarted, match="extra `telemetry`"):
        Tracing("http://127.0.0.1:1", 1.0, "test")
