"""A scheduler whose time and workers move only when a test says so: no threads, no waiting, the same order every time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from services.inference.prediction import Encoded
from services.inference.scheduling.batch_selection import Limits
from services.inference.scheduling.lane import Lane
from services.inference.scheduling.scheduler import Scheduler
from services.inference.scheduling.work import Batch
from services.inference.scheduling.worker import Finished, Worker
from tests.fakes.computation import FakeObserver


class SteppedWorker:
    """Holds the batch it was given until the test finishes it."""

    def __init__(self, finished: Finished) -> None:
        self._finished = finished
        self.batch: Batch | None = None

    def give(self, batch: Batch) -> None:
        """Begins a batch."""
        assert self.batch is None
        self.batch = batch

    def stop(self) -> None:
        """Nothing to end."""

    def finish(self, seconds: float, error: Exception | None = None) -> None:
        """The batch took so long, or failed; the worker goes on with the next one."""
        batch = self.batch
        assert batch is not None
        if error is None:
            batch.results = batch.owner.compute([item.encoded for item in batch.items], batch.wide)
        batch.error = error
        batch.seconds = seconds
        self.batch = self._finished(self, batch)


class Steps:
    """A fake clock, the workers, and what they compute. Make it inside a running event loop."""

    def __init__(self, workers: int = 1) -> None:
        self.now = 100.0
        self.workers: list[SteppedWorker] = []
        self.computed: list[list[int]] = []
        self.scheduler = Scheduler(workers, lambda: self.now, self._make)

    def _make(self, number: int, finished: Finished) -> Worker:
        worker = SteppedWorker(finished)
        self.workers.append(worker)
        return worker

    def lane(self, limits: Limits) -> tuple[Lane, FakeObserver]:
        """A lane whose rows come back as [first id, length]."""
        observer = FakeObserver()
        return self.scheduler.lane(self._compute, limits, observer), observer

    def _compute(self, rows: list[Encoded], wide: bool) -> Sequence[tuple[int, int]]:
        self.computed.append([int(row.input_ids[0]) for row in rows])
        return [(int(row.input_ids[0]), len(row)) for row in rows]

    async def step(self, seconds: float = 0.01, worker: int = 0) -> list[int]:
        """Time passes, one worker finishes its batch; returns the first ids of that batch."""
        await settled()
        self.now += seconds
        self.workers[worker].finish(seconds)
        await settled()
        return self.computed[-1]

    def running(self, worker: int = 0) -> list[int]:
        """First ids of what a worker computes now."""
        batch = self.workers[worker].batch
        return [] if batch is None else [int(item.encoded.input_ids[0]) for item in batch.items]


async def settled() -> None:
    """Lets every task that can go on go on."""
    for _ in range(10):
        await asyncio.sleep(0)
