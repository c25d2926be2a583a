from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.inference.stream import in_order


async def numbers(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number


async def test_answers_keep_the_order_of_requests_though_later_ones_are_ready_first() -> None:
    ready = [asyncio.Event() for _ in range(4)]
    ready[3].set()

    async def answer(number: int) -> int:
        await ready[number].wait()
        if number > 0:
            ready[number - 1].set()
        return number * 10

    assert [each async for each in in_order(numbers(4), answer, 4, asyncio.Event())] == [0, 10, 20, 30]


async def test_no_more_requests_than_the_window_are_begun() -> None:
    begun: list[int] = []
    gate = asyncio.Event()

    async def answer(number: int) -> int:
        begun.append(number)
        await gate.wait()
        return number

    responses = in_order(numbers(10), answer, 3, asyncio.Event())
    first = asyncio.ensure_future(anext(responses))
    for _ in range(50):
        await asyncio.sleep(0)
    assert begun == [0, 1, 2]
    gate.set()
    assert [await first, *[each async for each in responses]] == list(range(10))


async def test_a_stream_that_ends_early_cancels_what_is_still_worked_on() -> None:
    cancelled: list[int] = []

    async def answer(number: int) -> int:
        if number == 0:
            return number
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(number)
            raise
        return number

    responses = in_order(numbers(3), answer, 3, asyncio.Event())
    assert await anext(responses) == 0
    for _ in range(10):
        await asyncio.sleep(0)
    await responses.aclose()
    assert sorted(cancelled) == [1, 2]
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


async def test_a_broken_stream_of_requests_still_answers_what_it_brought() -> None:
    async def broken() -> AsyncIterator[int]:
        yield 1
        raise ConnectionError("gone")

    async def answer(number: int) -> int:
        return number

    received = []
    with pytest.raises(ConnectionError):
        async for each in in_order(broken(), answer, 2, asyncio.Event()):
            received.append(each)
    assert received == [1]


async def test_a_stopped_stream_answers_what_it_has_read_and_reads_no_more() -> None:
    stop, gate = asyncio.Event(), asyncio.Event()

    async def endless() -> AsyncIterator[int]:
        yield 0
        yield 1
        await asyncio.Event().wait()

    async def answer(number: int) -> int:
        await gate.wait()
        return number

    async def all_answers() -> list[int]:
        return [each async for each in in_order(endless(), answer, 4, stop)]

    answers = asyncio.create_task(all_answers())
    for _ in range(10):
        await asyncio.sleep(0)
    stop.set()
    gate.set()
    assert await asyncio.wait_for(answers, 5.0) == [0, 1]
