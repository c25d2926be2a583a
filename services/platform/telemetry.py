"""Traces: spans of calls, sent to an OpenTelemetry collector over OTLP/gRPC. Names and numbers, never texts.

OpenTelemetry is imported only when an endpoint was given; it comes with the extra `telemetry`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from services.platform.server import ServerNotStarted

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

PARENT = "traceparent"
"""W3C Trace Context: the caller's span, and whether it is sampled."""
STATE = "tracestate"
SERVERS_FAULT = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})
"""Codes that make a server's span an error, by OpenTelemetry's conventions for gRPC."""

Attributes = Mapping[str, str | int | float]


class TracedCall:
    """The span of a call that is sampled."""

    def __init__(self, tracer: Tracer, span: Span, context: Context) -> None:
        self._tracer = tracer
        self._span = span
        self._context = context
        # durations are measured with one clock, points in time with another
        self._anchor_ns = time.time_ns() - int(time.perf_counter() * 1e9)

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits, for logs."""
        return f"{self._span.get_span_context().trace_id:032x}"

    def part(self, name: str) -> TracedCall:
        """A span within this one that begins now."""
        from opentelemetry.trace import set_span_in_context

        span = self._tracer.start_span(name, self._context)
        return TracedCall(self._tracer, span, set_span_in_context(span, self._context))

    def stage(self, name: str, begun: float, ended: float, attributes: Attributes) -> None:
        """A span within this one that is over; times are `time.perf_counter()`."""
        span = self._tracer.start_span(name, self._context, start_time=self._ns(begun), attributes=attributes)
        span.end(self._ns(ended))

    def end(self, code: str, attributes: Attributes) -> None:
        """The call was answered with a gRPC status."""
        from opentelemetry.trace import Status, StatusCode

        self._span.set_attributes({**attributes, "rpc.response.status_code": code})
        if code in SERVERS_FAULT:
            self._span.set_status(Status(StatusCode.ERROR, code))
        self._span.end()

    def _ns(self, seconds: float) -> int:
        return self._anchor_ns + int(seconds * 1e9)


class Tracing:
    """Begins spans of calls. A sampled caller is followed, whatever the ratio; others are sampled by it."""

    def __init__(self, endpoint: str, ratio: float, service: str) -> None:
        """Raises ServerNotStarted when OpenTelemetry is not installed. Connects in the background."""
        try:
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
        except ImportError as error:
            raise ServerNotStarted(f"traces need the extra `telemetry` (no module {error.name!r})") from None
        self._provider = TracerProvider(
            ParentBased(TraceIdRatioBased(ratio)), Resource.create({"service.name": service}), shutdown_on_exit=False
        )
        exporter = OTLPSpanExporter(endpoint, insecure=not endpoint.startswith("https://"))
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer(service)
        self._propagator = TraceContextTextMapPropagator()

    def begin(self, name: str, metadata: Iterable[tuple[str, str | bytes]] | None) -> TracedCall | None:
        """The call's span, within that of its caller if its metadata names one; None when it is not sampled."""
        from opentelemetry.trace import SpanKind, set_span_in_context

        carrier = {key: value for key, value in metadata or () if key in {PARENT, STATE} and isinstance(value, str)}
        parent = self._propagator.extract(carrier) if carrier else None
        attributes = {"rpc.system.name": "grpc", "rpc.method": name}
        span = self._tracer.start_span(name, parent, SpanKind.SERVER, attributes)
        if not span.is_recording():
            return None
        return TracedCall(self._tracer, span, set_span_in_context(span, parent))

    def close(self) -> None:
        """Sends what is left; blocks for some seconds when nobody takes it."""
        self._provider.shutdown()
