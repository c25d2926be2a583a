"""What every RPC of the server has in common: correlation id, deadline, statuses, and that its end is reported."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import grpc
from google.protobuf.message import DecodeError

from services.inference.reporting import Reporting
from services.inference.stream import in_order
from services.platform.correlation import KEY, correlation_id
from services.platform.failures import Draining, Failure, InvalidInput
from services.platform.statuses import abort, code_of
from services.platform.telemetry import TracedCall

SHUTTING_DOWN = "the server is shutting down; try another one"

Request = TypeVar("Request")
Reply = TypeVar("Reply")
Context = grpc.aio.ServicerContext[Any, Any]


class Calls:
    """Runs one call: correlation id, deadline, failures to statuses, reports. Every wire uses it."""

    def __init__(self, reporting: Reporting) -> None:
        self._reporting = reporting
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

    async def close(self) -> None:
        """Sends what is left to be told of calls."""
        await asyncio.to_thread(self._reporting.close)

    async def answer(
        self,
        rpc: str,
        model: str,
        context: Context,
        work: Callable[[float | None], Awaitable[Reply]],
    ) -> Reply:
        """Awaits `work(deadline)`. A Failure becomes its status; anything unexpected INTERNAL, without internals."""
        correlation, deadline = _begin(context)
        span = self._reporting.span(rpc, context.invocation_metadata())
        call = self._reporting.begin(rpc, model, correlation, span)
        self._enter()
        try:
            if self._draining.is_set():
                raise Draining(SHUTTING_DOWN)
            reply = await work(deadline)
        except Failure as failure:
            self._reporting.end(call, code_of(failure).name, failure.reason)
            await abort(context, failure, correlation)
        except asyncio.CancelledError:
            self._reporting.end(call, "CANCELLED")
            raise
        except Exception as error:
            self._reporting.broke(call, error)
            await abort(context, Failure(f"internal error, correlation id {correlation}"), correlation)
        finally:
            self._leave()
        self._reporting.end(call, "OK")
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
        span = self._reporting.span(rpc, context.invocation_metadata())
        code = "CANCELLED"
        # what the stream ends with: reading stops early only when the server drains
        ending: Failure | None = Draining(SHUTTING_DOWN)

        async def read() -> AsyncIterator[Request]:
            nonlocal ending
            try:
                async for request in requests:
                    yield request
            except DecodeError:
                ending = InvalidInput("a message of the stream is malformed", "", "MALFORMED_MESSAGE")
            else:
                ending = None

        async def attempt(request: Request) -> Reply:
            outcome = await self._attempt(rpc, model_of(request), correlation, span, answer(request, deadline))
            return failed(request, outcome) if isinstance(outcome, Failure) else outcome

        self._enter()
        try:
            async with contextlib.aclosing(in_order(read(), attempt, most, self._draining)) as responses:
                async for response in responses:
                    yield response
            code = "OK" if ending is None else code_of(ending).name
            if ending is not None:
                await abort(context, ending, correlation)
        finally:
            self._leave()
            if span is not None:
                span.end(code, {})

    async def _attempt(
        self, rpc: str, model: str, correlation: str, stream: TracedCall | None, work: Awaitable[Reply]
    ) -> Reply | Failure:
        """One message of a stream: as `answer`, but what went wrong is a value."""
        call = self._reporting.begin(rpc, model, correlation, stream and stream.part("message"))
        try:
            reply = await work
        except Failure as failure:
            self._reporting.end(call, code_of(failure).name, failure.reason)
            return failure
        except asyncio.CancelledError:
            self._reporting.end(call, "CANCELLED")
            raise
        except Exception as error:
            self._reporting.broke(call, error)
            return Failure(f"internal error, correlation id {correlation}")
        self._reporting.end(call, "OK")
        return reply

    def _enter(self) -> None:
        self._running += 1
        self._idle.clear()

    def _leave(self) -> None:
        self._running -= 1
        if self._running == 0:
            self._idle.set()


def _begin(context: Context) -> tuple[str, float | None]:
    """Correlation id, which goes back to the caller, and deadline in the event loop's clock."""
    correlation = correlation_id(context.invocation_metadata())
    context.set_trailing_metadata(((KEY, correlation),))
    remaining = context.time_remaining()
    return correlation, None if remaining is None else asyncio.get_running_loop().time() + remaining
