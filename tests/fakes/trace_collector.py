"""A collector of traces: a real gRPC server that speaks OTLP, from OpenTelemetry's own stubs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class TraceCollector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps every span that it is sent."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.services: set[str] = set()
        self._changed = threading.Condition()

    def Export(self, request: pb.ExportTraceServiceRequest, context: Any) -> pb.ExportTraceServiceResponse:
        with self._changed:
            for resource in request.resource_spans:
                self.services.add(attributes(resource.resource.attributes)["service.name"])
                self.spans += [span for scope in resource.scope_spans for span in scope.spans]
            self._changed.notify_all()
        return pb.ExportTraceServiceResponse()

    def wait_for(self, enough: Callable[[list[Span]], bool]) -> list[Span]:
        """The spans, once they are enough."""
        with self._changed:
            assert self._changed.wait_for(lambda: enough(self.spans), 30), [span.name for span in self.spans]
            return list(self.spans)


def attributes(pairs: Any) -> dict[str, Any]:
    """OTLP's list of pairs as a dictionary."""
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


@contextmanager
def trace_collector() -> Iterator[tuple[TraceCollector, str]]:
    """Serves until the block ends; yields the collector and its endpoint."""
    collector = TraceCollector()
    server = grpc.server(ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield collector, f"http://127.0.0.1:{port}"
    finally:
        server.stop(None).wait()
