"""What every RPC of the server has in common: correlation id, deadline, statuses, metrics, logs."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import grpc
import structlog

from services.inference.stream import in_order
from services.platform.correlation import KEY, correlation_id
from services.platform.failures import Draining, Failure
from services.platform.metrics import Metrics
from services.platform.statuses import abort, code_of

SHOWN = 64
SHUTTING_DOWN = "the server is shutting down; try another one"

log = structlog.get_logger()
Request = TypeVar("Request")
Reply = TypeVar("Reply")
Context = grpc.aio.ServicerContext[Any, Any]


class Calls:
    """Runs one call: correlation id, deadline, failures to statuses, metrics, logs. Every wire uses it."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._running = 0
        self._draining = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    async def drain(self, timeout_s: float) -> None:
        """Refuses new calls with UNAVAILABLE and waits, within the timeout, until the running ones are answered.

        Streams are read no further; they end once what was read is answered.
        """
        self._draining.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), timeout_s)

    async def answer(
        self,
        rpc: str,
        model: str,
        context: Context,
        work: Callable[[float | None], Awaitable[Reply]],
    ) -> Reply:
        """Awaits `work(deadline)`. A Failure becomes its status; anything unexpected INTERNAL, without internals."""
        begun = time.perf_counter()
        correlation, deadline = _begin(context)
        self._enter()
        try:
            if self._draining.is_set():
                raise Draining(SHUTTING_DOWN)
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
            self._leave()
        self._done(rpc, model, "OK", begun)
        return reply

    async def stream(
        self,
        rpc: str,
        context: Context,
        requests: AsyncIterator[Request],
        answer: Callable[[Request, float | None], Awaitable[Reply]],
        failed: Callable[[Request, Failure], Reply],
        model_of: Callable[[Request], str],
        most: int,
    ) -> AsyncGenerator[Reply]:
        """Yields the answer to each request in its order; `failed` makes one of a failure, since the stream goes on.

        Ends with UNAVAILABLE when the server drains before the caller's last request was read, after the answers to
        those that were.
        """
        correlation, deadline = _begin(context)
        exhausted = False

        async def read() -> AsyncIterator[Request]:
            nonlocal exhausted
            async for request in requests:
                yield request
            exhausted = True

        async def attempt(request: Request) -> Reply:
            outcome = await self._attempt(rpc, model_of(request), correlation, answer(request, deadline))
            return failed(request, outcome) if isinstance(outcome, Failure) else outcome

        self._enter()
        try:
            async with contextlib.aclosing(in_order(read(), attempt, most, self._draining)) as responses:
                async for response in responses:
                    yield response
            if self._draining.is_set() and not exhausted:
                await abort(context, Draining(SHUTTING_DOWN), correlation)
        finally:
            self._leave()

    async def _attempt(self, rpc: str, model: str, correlation: str, work: Awaitable[Reply]) -> Reply | Failure:
        """One message of a stream: as `answer`, but what went wrong is a value."""
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

    def _enter(self) -> None:
        self._running += 1
        self._idle.clear()

    def _leave(self) -> None:
        self._running -= 1
        if self._running == 0:
            self._idle.set()

    def _done(self, rpc: str, model: str, code: str, begun: float) -> None:
        self._metrics.calls.labels(rpc, model, code).inc()
        self._metrics.call_seconds.labels(rpc, model).observe(time.perf_counter() - begun)


def _begin(context: Context) -> tuple[str, float | None]:
    """Correlation id, which goes back to the caller, and deadline in the event loop's clock."""
    correlation = correlation_id(context.invocation_metadata())
    context.set_trailing_metadata(((KEY, correlation),))
    remaining = context.time_remaining()
    return correlation, None if remaining is None else asyncio.get_running_loop().time() + remaining
