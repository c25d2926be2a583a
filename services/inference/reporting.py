"""What is said of every call that ended: metrics, at most one line in the log, spans. Names and numbers, never texts."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

import structlog

from services.inference import facts
from services.inference.facts import CallFacts
from services.inference.metrics import Metrics
from services.inference.validation import NAME
from services.platform.failures import Overloaded
from services.platform.logs import Budget, shape
from services.platform.telemetry import TracedCall, Tracing

REFUSALS_A_SECOND = 5
"""Lines about calls refused under overload; the metrics count all of them."""

log = structlog.get_logger()
Metadata = Iterable[tuple[str, str | bytes]] | None


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A call that is being worked on. `asked` is the caller's word for the model."""

    rpc: str
    asked: str
    correlation: str
    begun: float
    facts: CallFacts
    span: TracedCall | None


class Reporting:
    """Where the ends of calls are told. A call without traces costs one look at None for them."""

    def __init__(self, metrics: Metrics, tracing: Tracing | None = None, access_log: bool = False) -> None:
        self._metrics = metrics
        self._tracing = tracing
        self._access_log = access_log
        self._refusals = Budget(REFUSALS_A_SECOND)

    def span(self, rpc: str, metadata: Metadata) -> TracedCall | None:
        """The span of a call, if it is to have one."""
        return None if self._tracing is None else self._tracing.begin(rpc, metadata)

    def begin(self, rpc: str, asked: str, correlation: str, span: TracedCall | None) -> OpenCall:
        """From now on the current task's facts are those of this call."""
        return OpenCall(rpc, asked, correlation, time.perf_counter(), facts.begin(), span)

    def end(self, call: OpenCall, code: str, reason: str | None = None) -> None:
        """The call was answered, refused, or given up by its caller; `reason` is that of a failure."""
        seconds = time.perf_counter() - call.begun
        self._metrics.finished(call.rpc, call.facts.model, code, seconds)
        if call.span is not None:
            _trace(call.span, call.facts, code)
        if reason is not None:
            self._failed(call, code, reason, seconds)
        elif self._access_log:
            log.info("call", code=code, **_described(call, seconds))

    def _failed(self, call: OpenCall, code: str, reason: str, seconds: float) -> None:
        """One line; of refusals under overload only some, since telling of each would cost as much as refusing it."""
        if reason != Overloaded.reason:
            log.info("call failed", code=code, reason=reason, **_described(call, seconds))
        elif (untold := self._refusals.take(time.monotonic())) is not None:
            log.info("call failed", code=code, reason=reason, refusals_untold=untold, **_described(call, seconds))

    def broke(self, call: OpenCall, error: Exception) -> None:
        """The call ended with an error of ours that nobody foresaw."""
        seconds = time.perf_counter() - call.begun
        self._metrics.finished(call.rpc, call.facts.model, "INTERNAL", seconds)
        if call.span is not None:
            _trace(call.span, call.facts, "INTERNAL")
        log.error("call broke", code="INTERNAL", error=shape(error), **_described(call, seconds))

    def close(self) -> None:
        """Sends the spans that are left; may block for some seconds."""
        if self._tracing is not None:
            self._tracing.close()


def _described(call: OpenCall, seconds: float) -> dict[str, str | int | float]:
    known = call.facts
    # a word that can be no model's name may be anything, a text for example
    asked = call.asked if NAME.fullmatch(call.asked) else ""
    described: dict[str, str | int | float] = {
        "rpc": call.rpc,
        "model": known.model or asked,
        "version": known.version,
        "texts": known.texts,
        "tokens": known.tokens,
        "queue_ms": _ms(known.queue_s),
        "inference_ms": _ms(known.inference_s),
        "total_ms": _ms(seconds),
        "correlation_id": call.correlation,
    }
    if call.span is not None:
        described["trace_id"] = call.span.trace_id
    return described


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _trace(span: TracedCall, known: CallFacts, code: str) -> None:
    """The stages that the call went through, then the end of the call itself."""
    texts = {"bertline.texts": known.texts}
    if known.tokenization_ended:
        span.stage("tokenization", known.tokenization_begun, known.tokenization_ended, texts)
    if known.queued:
        begun = known.queued + known.queue_s
        size = {"bertline.tokens": known.tokens, "bertline.batch_texts": known.batch_texts}
        span.stage("queue", known.queued, begun, {"bertline.tokens": known.tokens})
        span.stage("compute", begun, begun + known.inference_s, size)
    served: dict[str, str | int | float] = {
        "bertline.model": known.model,
        "bertline.version": known.version,
        "bertline.variant": known.variant,
    }
    span.end(code, {**served, **texts, "bertline.tokens": known.tokens})
