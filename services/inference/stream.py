"""Answers of a stream: in the order of its requests, yet worked on together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

Request = TypeVar("Request")
Response = TypeVar("Response")


async def in_order(
    requests: AsyncIterator[Request],
    answer: Callable[[Request], Awaitable[Response]],
    most: int,
    stop: asyncio.Event,
) -> AsyncGenerator[Response]:
    """Yields `answer(request)` of every request, in order, with up to `most` of them begun and not yet yielded.

    So requests that a caller sends without waiting share batches, and a caller that does not read is not read from.
    Once `stop` is set, no more requests are read, and the stream ends after the answers to those that were. What is
    still being worked on is cancelled when the stream ends early. An error of `answer` ends the stream.
    """
    begun: asyncio.Queue[asyncio.Future[Response] | None] = asyncio.Queue()
    free = asyncio.Semaphore(most - 1)
    working: set[asyncio.Future[Response]] = set()

    async def begin() -> None:
        try:
            async for request in requests:
                task = asyncio.ensure_future(answer(request))
                working.add(task)
                task.add_done_callback(working.discard)
                begun.put_nowait(task)
                await free.acquire()
        finally:
            begun.put_nowait(None)

    reader = asyncio.create_task(begin())
    stopper = asyncio.create_task(stop.wait())
    stopper.add_done_callback(lambda _: reader.cancel())
    try:
        while (next_answer := await begun.get()) is not None:
            response = await next_answer
            free.release()
            yield response
        if not stop.is_set():
            await reader
    finally:
        unfinished: list[asyncio.Future[Any]] = [reader, stopper, *working]
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)
