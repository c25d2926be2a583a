"""Forms batches while the sessions are busy, never by waiting.

Workers pull: one that has finished takes its next batch itself, without waiting for the event loop. So no core idles while
texts wait, padding is small, nobody starves (the oldest text is in the next batch), and a lone text is computed at once, on
all cores where that is sooner. Expired and cancelled texts leave before they are computed. Each call settles exactly once:
with all of its rows, with the failure of its batch, or with its caller's cancellation; always on the event loop's thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Sequence
from typing import Protocol

from services.inference.batch_selection import Limits
from services.inference.drain_rate import DrainRate
from services.inference.prediction import Encoded
from services.inference.waiting import Call, Computed, Item, Swept, WaitingLine
from services.inference.worker import Batch, Compute, Worker
from services.platform.failures import DeadlineExceeded, Draining, InferenceFailed, Overloaded


class Observer(Protocol):
    """Hears what the batcher does; called on the event loop's thread."""

    def queue_changed(self, texts: int, tokens: int) -> None:
        """The queue's size now."""

    def batch_done(self, rows: int, tokens: int, padded: int, seconds: float, wide: bool) -> None:
        """A batch was computed."""

    def dropped(self, texts: int, reason: str) -> None:
        """Texts left the queue before compute: "expired" or "cancelled"."""


class Batcher:
    """The queue and the workers of one model."""

    def __init__(self, compute: Compute, workers: int, limits: Limits, observer: Observer) -> None:
        self._loop = asyncio.get_running_loop()
        self._limits = limits
        self._observer = observer
        self._drain_rate = DrainRate()
        self._scheduled = False
        # workers and the event loop share what follows
        self._lock = threading.Lock()
        self._line = WaitingLine(limits)
        self._running = 0
        self._wide_running = False
        self._closed = False
        self._idle = [Worker(f"inference-{n}", compute, self._finished) for n in range(workers)]
        self._workers = list(self._idle)

    @property
    def queued_texts(self) -> int:
        """Texts waiting."""
        return len(self._line)

    @property
    def queued_tokens(self) -> int:
        """Tokens waiting."""
        return self._line.tokens

    @property
    def running_batches(self) -> int:
        """Batches being computed."""
        return self._running

    async def submit(self, rows: Sequence[Encoded], deadline: float | None) -> Computed:
        """Waits for the results of all rows. `deadline` is in the event loop's clock.

        Raises Overloaded, DeadlineExceeded, Draining or InferenceFailed, for the call as a whole.
        """
        if self._closed:
            raise Draining("the server is shutting down")
        now = self._loop.time()
        if deadline is not None and deadline <= now:
            raise DeadlineExceeded("the deadline had passed before the call was queued")
        waiting = self._line.tokens
        if waiting and waiting + sum(map(len, rows)) > self._limits.queue_tokens:
            retry = self._drain_rate.seconds_for(waiting)
            raise Overloaded(f"{waiting} tokens are waiting; try again in {retry:.2f} s", retry)
        call = Call(self._loop.create_future(), deadline, [None] * len(rows), len(rows))
        with self._lock:
            self._line.append([Item(call, position, row, len(row), now) for position, row in enumerate(rows)])
        self._schedule()
        try:
            return await call.done
        finally:
            if call.left:
                self._abandon(call)

    async def close(self) -> None:
        """Takes no more work and stops the workers after what they are computing; what waits fails as Draining."""
        with self._lock:
            self._closed = True
            waiting = self._line.clear()
        for call in waiting:
            call.fail(Draining("the server is shutting down"))
        for worker in self._workers:
            worker.stop()

    def _schedule(self) -> None:
        """Looks for work once this turn of the loop is over, so that calls that arrive together meet in one batch."""
        if not self._scheduled and self._idle:
            self._scheduled = True
            self._loop.call_soon(self._dispatch)

    def _dispatch(self) -> None:
        """Gives batches to idle workers."""
        self._scheduled = False
        swept = Swept()
        with self._lock:
            while self._idle and (batch := self._next(len(self._idle), swept)) is not None:
                self._idle.pop().give(batch)
        self._sweep(swept)
        self._observer.queue_changed(len(self._line), self._line.tokens)

    def _next(self, idle: int, swept: Swept) -> Batch | None:
        """The next batch, with the lock held; None when nothing waits, or while one text has all cores."""
        if self._wide_running or self._closed or not len(self._line):
            return None
        now = self._loop.time()
        items = self._line.take(now, idle, swept)
        if not items:
            return None
        for item in items:
            item.call.queue_s = max(item.call.queue_s, now - item.since)
        alone = self._running == 0 and len(items) == 1 and not len(self._line)
        wide_from = self._limits.wide_from_tokens
        wide = alone and wide_from is not None and items[0].size >= wide_from
        self._running += 1
        self._wide_running = wide
        return Batch(items, wide)

    def _finished(self, worker: Worker, batch: Batch) -> Batch | None:
        """On the worker's thread: hands a batch over and takes the next. One wake-up of the loop a batch."""
        swept = Swept()
        with self._lock:
            self._running -= 1
            if batch.wide:
                self._wide_running = False
            following = self._next(len(self._idle) + 1, swept) if batch.results is not None else None
            if following is None:
                self._idle.append(worker)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._settle, batch, swept)
        return following

    def _settle(self, batch: Batch, swept: Swept) -> None:
        self._sweep(swept)
        if batch.results is None:
            self._recover(batch)
        else:
            self._deliver(batch)
        self._dispatch()

    def _deliver(self, batch: Batch) -> None:
        assert batch.results is not None
        for item, row in zip(batch.items, batch.results, strict=True):
            call = item.call
            call.rows[item.position] = row
            call.left -= 1
            call.inference_s = max(call.inference_s, batch.seconds)
            if call.left == 0 and not call.done.done():
                rows = [each for each in call.rows if each is not None]
                call.done.set_result(Computed(rows, call.queue_s, call.inference_s))
        sizes = [item.size for item in batch.items]
        self._drain_rate.note(sum(sizes), batch.seconds, 1 if batch.wide else len(self._workers))
        self._observer.batch_done(len(sizes), sum(sizes), max(sizes) * len(sizes), batch.seconds, batch.wide)

    def _recover(self, batch: Batch) -> None:
        """A failed batch is tried again text by text; a text that fails alone fails its call."""
        for item in reversed(batch.items):
            if item.call.done.done():
                continue
            if len(batch.items) > 1 and not self._closed:
                item.alone = True
                with self._lock:
                    self._line.put_back(item)
            else:
                self._release(item.call)
                reason = type(batch.error).__name__
                item.call.fail(InferenceFailed("the model failed on this text", error=reason))

    def _sweep(self, swept: Swept) -> None:
        """Settles what left the line without being computed."""
        for call, texts in swept.expired:
            self._observer.dropped(texts, "expired")
            call.left = 0
            call.fail(DeadlineExceeded("the deadline passed while the text waited"))
        if swept.cancelled:
            self._observer.dropped(swept.cancelled, "cancelled")

    def _abandon(self, call: Call) -> None:
        """The caller went away, or the call failed: its waiting texts leave the line."""
        waiting = self._release(call)
        if waiting:
            self._observer.dropped(waiting, "cancelled")
        call.done.cancel()

    def _release(self, call: Call) -> int:
        call.left = 0
        with self._lock:
            return self._line.remove(call)
