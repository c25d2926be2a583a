"""Shares the workers of one device among the models that it serves.

Workers pull: one that has finished takes its next batch itself, without waiting for the event loop. So no core idles while
texts wait, padding is small, no text and no model starves, and a lone text is computed at once, on all cores where that
is sooner. Batches form while the workers are busy, never by waiting. Expired and cancelled texts leave before compute.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable

from services.inference.scheduling.batch_selection import Limits
from services.inference.scheduling.fairness import FairShare
from services.inference.scheduling.lane import Lane, Observer
from services.inference.scheduling.waiting import Swept
from services.inference.scheduling.work import Batch, Compute, Item
from services.inference.scheduling.worker import Finished, ThreadWorker, Worker


def thread_workers(niceness: int = 0) -> Callable[[int, Finished], Worker]:
    """Makes workers on threads of their own."""
    return lambda number, finished: ThreadWorker(f"inference-{number}", finished, niceness)


class Scheduler:
    """Workers, and the lanes that they take batches from. Make it inside the running event loop."""

    def __init__(
        self,
        workers: int,
        clock: Callable[[], float] | None = None,
        make_worker: Callable[[int, Finished], Worker] | None = None,
    ) -> None:
        make_worker = make_worker or thread_workers()
        self._loop = asyncio.get_running_loop()
        # the event loop's clock, but finer: uvloop's counts milliseconds
        self.clock = clock or time.monotonic
        self.workers = workers
        self._wake_scheduled = False
        # workers and the event loop share what follows
        self.lock = threading.Lock()
        self._fair = FairShare()
        self._lanes: list[Lane] = []
        self._running = 0
        self._cores_used = 0
        self._idle = [make_worker(number, self._finished) for number in range(workers)]
        self._all = list(self._idle)
        self._swept: list[tuple[Lane, Swept]] = []

    @property
    def backlogged_lanes(self) -> int:
        """How many models have texts waiting; at least 1."""
        return max(1, sum(lane.waiting for lane in self._lanes))

    def lane(self, compute: Compute, limits: Limits, observer: Observer) -> Lane:
        """A lane for one more model."""
        lane = Lane(self, compute, limits, observer)
        with self.lock:
            self._lanes = [*self._lanes, lane]
        return lane

    def remove(self, lane: Lane) -> None:
        """Forgets a closed lane."""
        with self.lock:
            self._lanes = [each for each in self._lanes if each is not lane]

    async def close(self) -> None:
        """Closes every lane and stops the workers after what they are computing."""
        for worker in self._all:
            worker.stop()
        await asyncio.gather(*(lane.close() for lane in self._lanes))

    def wake(self) -> None:
        """Looks for work once this turn of the loop is over, so that calls that arrive together meet in one batch."""
        if not self._wake_scheduled and self._idle:
            self._wake_scheduled = True
            self._loop.call_soon(self._dispatch)

    def _dispatch(self) -> None:
        """Gives batches to idle workers."""
        self._wake_scheduled = False
        with self.lock:
            while self._idle and (batch := self._next(len(self._idle))) is not None:
                self._idle.pop().give(batch)
        self._sweep()
        for lane in self._lanes:
            lane.report()

    def _next(self, idle: int) -> Batch | None:
        """The next batch, with the lock held; None when nothing waits, or its cores are not free."""
        free = self.workers - self._cores_used
        if free <= 0:
            return None
        now = self.clock()
        for lane in self._fair.order(self._lanes):
            cores = self._cores(lane, False)
            if cores > free:
                # whoever's turn it is waits for its cores, or those who need fewer would keep them for ever
                return None
            swept = Swept()
            items = lane.line.take(now, min(idle, free // cores), swept)
            if swept.expired or swept.items:
                self._swept.append((lane, swept))
            if items:
                return self._begin(lane, items, now)
        return None

    def _begin(self, lane: Lane, items: list[Item], now: float) -> Batch:
        expected_s = lane.expected_seconds(sum(item.size for item in items))
        wide = self._runs_wide(lane, items)
        cores = self._cores(lane, wide)
        self._cores_used += cores
        self._fair.begin(lane, expected_s * cores)
        self._running += 1
        lane.running += 1
        return Batch(items, lane, wide, now, expected_s, cores)

    def _cores(self, lane: Lane, wide: bool) -> int:
        """How many a batch of the lane takes; never more than there are."""
        return self.workers if wide else min(self.workers, lane.limits.cores)

    def _runs_wide(self, lane: Lane, items: list[Item]) -> bool:
        wide_from = lane.limits.wide_from_tokens
        return (
            wide_from is not None
            and len(items) == 1
            and self._running == 0
            and items[0].size >= wide_from
            and not any(each.waiting for each in self._lanes)
        )

    def _finished(self, worker: Worker, batch: Batch) -> Batch | None:
        """On the worker's thread: hands a batch over and takes the next. One wake-up of the loop a batch."""
        lane = batch.owner
        with self.lock:
            self._running -= 1
            lane.running -= 1
            self._fair.end(lane, batch.expected_s * batch.cores, batch.seconds * batch.cores)
            self._cores_used -= batch.cores
            following = self._next(len(self._idle) + 1) if batch.results is not None else None
            if following is None:
                self._idle.append(worker)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._settle, batch)
        return following

    def _settle(self, batch: Batch) -> None:
        self._sweep()
        batch.owner.settle(batch)
        self._dispatch()

    def _sweep(self) -> None:
        with self.lock:
            swept, self._swept = self._swept, []
        for lane, left in swept:
            lane.sweep(left)
