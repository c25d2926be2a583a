"""What every call has in common, without a server: draining."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import grpc

from services.inference.calls import Calls
from services.inference.metrics import Metrics
from services.inference.reporting import Reporting


class Context:
    """As much of a servicer's context as `Calls` asks for."""

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return ()

    def set_trailing_metadata(self, metadata: object) -> None:
        return None

    def time_remaining(self) -> None:
        return None


CONTEXT = cast("grpc.aio.ServicerContext[Any, Any]", Context())


async def test_draining_waits_for_a_call_that_runs_although_others_ended_before_it() -> None:
    calls = Calls(Reporting(Metrics()))
    await calls.answer("Classify", "tiny", CONTEXT, _at_once)
    release = asyncio.Event()

    async def work(deadline: float | None) -> str:
        await release.wait()
        return "answered"

    running = asyncio.create_task(calls.answer("Classify", "tiny", CONTEXT, work))
    await asyncio.sleep(0)
    drained = asyncio.create_task(calls.drain(30.0))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not drained.done()
    release.set()
    assert await running == "answered"
    await asyncio.wait_for(drained, 5.0)


async def test_draining_ends_at_its_timeout_whatever_runs() -> None:
    calls = Calls(Reporting(Metrics()))
    stuck = asyncio.create_task(calls.answer("Classify", "tiny", CONTEXT, _never))
    await asyncio.sleep(0)
    await asyncio.wait_for(calls.drain(0.01), 5.0)
    assert not stuck.done()
    stuck.cancel()


async def _at_once(deadline: float | None) -> str:
    return "answered"


async def _never(deadline: float | None) -> str:
    await asyncio.Event().wait()
    return "answered"
