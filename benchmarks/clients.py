"""gRPC's own clients as closed-loop load generators, only to show what the lean one saves."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import grpc


@dataclass(frozen=True, slots=True)
class Cost:
    """Calls a second and CPU seconds a call of this process."""

    calls_per_second: float
    cpu_seconds: float


def asynchronous(target: str, path: str, messages: Sequence[bytes], callers: int, seconds: float) -> Cost:
    """`callers` coroutines over one grpc.aio channel."""
    return asyncio.run(_asynchronous(target, path, messages, callers, seconds))


async def _asynchronous(target: str, path: str, messages: Sequence[bytes], callers: int, seconds: float) -> Cost:
    async with grpc.aio.insecure_channel(target) as channel:
        call: Any = channel.unary_unary(path)
        until = time.perf_counter() + seconds

        async def caller(number: int) -> int:
            made = 0
            while time.perf_counter() < until:
                await call(messages[(number + made) % len(messages)])
                made += 1
            return made

        await call(messages[0])
        cpu, start = time.process_time(), time.perf_counter()
        made = sum(await asyncio.gather(*map(caller, range(callers))))
        return Cost(made / (time.perf_counter() - start), (time.process_time() - cpu) / made)


def threaded(target: str, path: str, messages: Sequence[bytes], callers: int, seconds: float) -> Cost:
    """`callers` threads over one blocking channel."""
    counts = [0] * callers
    with grpc.insecure_channel(target) as channel:
        call: Any = channel.unary_unary(path)
        until = time.perf_counter() + seconds

        def caller(number: int) -> None:
            while time.perf_counter() < until:
                call(messages[(number + counts[number]) % len(messages)])
                counts[number] += 1

        call(messages[0])
        cpu, start = time.process_time(), time.perf_counter()
        threads = [threading.Thread(target=caller, args=(number,)) for number in range(callers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        made = sum(counts)
        return Cost(made / (time.perf_counter() - start), (time.process_time() - cpu) / made)
