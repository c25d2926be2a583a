"""What every RPC of the server has in common: correlation id, deadline, statuses, metrics, logs."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import grpc
import structlog

from services.platform.correlation import correlation_id
from services.platform.failures import Draining, Failure
from services.platform.metrics import Metrics
from services.platform.statuses import abort, code_of

SHOWN = 64

log = structlog.get_logger()
Reply = TypeVar("Reply")


class Calls:
    """Runs one call: correlation id, deadline, failures to statuses, metrics, logs. Both wires use it."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._running = 0
        self._draining = False
        self._idle = asyncio.Event()
        self._idle.set()

    async def drain(self, timeout_s: float) -> None:
        """Refuses new calls with UNAVAILABLE and waits, within the timeout, until the running ones are answered."""
        self._draining = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), timeout_s)

    async def answer(
        self,
        rpc: str,
        model: str,
        context: grpc.aio.ServicerContext[Any, Any],
        work: Callable[[float | None], Awaitable[Reply]],
    ) -> Reply:
        """Awaits `work(deadline)`. A Failure becomes its status; anything unexpected INTERNAL, without internals."""
        begun = time.perf_counter()
        correlation = correlation_id(context.invocation_metadata())
        context.set_trailing_metadata((("x-correlation-id", correlation),))
        remaining = context.time_remaining()
        deadline = None if remaining is None else asyncio.get_running_loop().time() + remaining
        self._running += 1
        self._idle.clear()
        try:
            if self._draining:
                raise Draining("the server is shutting down; try another one")
            reply = await work(deadline)
        except Failure as failure:
            code = code_of(failure)
            self._done(rpc, "", code.name, begun)
            log.info(
                "call failed",
                rpc=rpc,
                model=model[:SHOWN],
                code=code.name,
                reason=failure.reason,
                correlation_id=correlation,
            )
            await abort(context, failure, correlation)
        except asyncio.CancelledError:
            self._done(rpc, "", "CANCELLED", begun)
            raise
        except Exception:
            self._done(rpc, "", "INTERNAL", begun)
            log.exception("call broke", rpc=rpc, correlation_id=correlation)
            await abort(context, Failure(f"internal error, correlation id {correlation}"), correlation)
        finally:
            self._running -= 1
            if self._running == 0:
                self._idle.set()
        self._done(rpc, model, "OK", begun)
        return reply

    async def attempt(self, rpc: str, model: str, correlation: str, work: Awaitable[Reply]) -> Reply | Failure:
        """One message of a stream: as `answer`, but what went wrong is a value, since the stream goes on."""
        begun = time.perf_counter()
        try:
            reply = await work
        except Failure as failure:
            code = code_of(failure).name
            self._done(rpc, "", code, begun)
            log.info("call failed", rpc=rpc, code=code, reason=failure.reason, correlation_id=correlation)
            return failure
        except Exception:
            self._done(rpc, "", "INTERNAL", begun)
            log.exception("call broke", rpc=rpc, correlation_id=correlation)
            return Failure(f"internal error, correlation id {correlation}")
        self._done(rpc, model, "OK", begun)
        return reply

    def _done(self, rpc: str, model: str, code: str, begun: float) -> None:
        self._metrics.calls.labels(rpc, model, code).inc()
        self._metrics.call_seconds.labels(rpc, model).observe(time.perf_counter() - begun)
