"""Forms batches while the sessions are busy, never by waiting.

Workers pull: a free one takes the oldest waiting text and, from a bounded window behind it, the texts of like length
that make the batch most efficient (real tokens for its cost). So padding is small, nobody starves (the oldest is in the
next batch), and a lone text is computed at once, on all cores. Expired and cancelled texts leave before they are computed. Each
call settles exactly once: with all of its rows, with the failure of its batch, or with its caller's cancellation.

Everything here runs on the event loop's thread but `Worker._run`, which runs on a thread of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.inference.batch_selection import Limits, best_range
from services.inference.drain_rate import DrainRate
from services.inference.prediction import Encoded
from services.platform.failures import DeadlineExceeded, Draining, Failure, InferenceFailed, Overloaded

WINDOW = 64
"""Waiting texts that a batch may choose from."""


class Compute(Protocol):
    """Turns a batch into rows of results: float32 [rows, labels]. Called on worker threads; `wide` takes all cores."""

    def __call__(self, rows: list[Encoded], wide: bool) -> NDArray[np.float32]:
        """Computes a batch."""


class Observer(Protocol):
    """Hears what the batcher does; called on the event loop's thread."""

    def queue_changed(self, texts: int, tokens: int) -> None:
        """The queue's size now."""

    def batch_done(self, rows: int, tokens: int, padded: int, seconds: float, wide: bool) -> None:
        """A batch was computed."""

    def dropped(self, texts: int, reason: str) -> None:
        """Texts left the queue before compute: "expired" or "cancelled"."""


@dataclass(frozen=True, slots=True)
class Computed:
    """Results of one call, rows in its order, and how long its slowest text waited and was computed, in seconds."""

    rows: list[NDArray[np.float32]]
    queue_s: float
    inference_s: float


@dataclass(eq=False, slots=True)
class _Call:
    """One caller, waiting for `left` more rows."""

    done: asyncio.Future[Computed]
    deadline: float | None
    rows: list[NDArray[np.float32] | None]
    left: int
    queue_s: float = 0.0
    inference_s: float = 0.0


@dataclass(eq=False, slots=True)
class _Item:
    """One text of a call."""

    call: _Call
    position: int
    encoded: Encoded
    size: int
    since: float
    alone: bool = False
    """Its batch failed: it is tried once more by itself, so that a bad text fails no neighbour."""


@dataclass(eq=False, slots=True)
class _Batch:
    items: list[_Item]
    wide: bool
    begun: float
    results: NDArray[np.float32] | None = None
    error: Exception | None = None
    seconds: float = 0.0


class _Worker:
    """A thread that computes one batch at a time."""

    def __init__(self, name: str, compute: Compute, finished: Callable[[_Worker, _Batch], None]) -> None:
        self._inbox: queue.SimpleQueue[_Batch | None] = queue.SimpleQueue()
        self._compute = compute
        self._finished = finished
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def give(self, batch: _Batch) -> None:
        """Hands over a batch; `finished` is called on this worker's thread."""
        self._inbox.put(batch)

    def stop(self) -> None:
        """Ends the thread after the batch it is computing."""
        self._inbox.put(None)

    def _run(self) -> None:
        while (batch := self._inbox.get()) is not None:
            begun = time.perf_counter()
            try:
                batch.results = self._compute([item.encoded for item in batch.items], batch.wide)
            except Exception as error:
                batch.error = error
            batch.seconds = time.perf_counter() - begun
            self._finished(self, batch)


def _size(item: _Item) -> int:
    return item.size


class Batcher:
    """The queue and the workers of one model."""

    def __init__(self, compute: Compute, workers: int, has_wide: bool, limits: Limits, observer: Observer) -> None:
        self._loop = asyncio.get_running_loop()
        self._limits = limits
        self._observer = observer
        self._has_wide = has_wide
        self._idle = [_Worker(f"inference-{n}", compute, self._finished) for n in range(workers)]
        self._workers = list(self._idle)
        self._waiting: deque[_Item] = deque()
        self._tokens = 0
        self._running = 0
        self._wide_running = False
        self._closed = False
        self._drain_rate = DrainRate()
        self._scheduled = False

    @property
    def queued_texts(self) -> int:
        """Texts waiting, those of callers who went away included until they are swept out."""
        return len(self._waiting)

    @property
    def queued_tokens(self) -> int:
        """Tokens of live calls that wait."""
        return self._tokens

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
        tokens = sum(map(len, rows))
        if self._tokens + tokens > self._limits.queue_tokens and self._tokens > 0:
            retry = self._drain_rate.seconds_for(self._tokens)
            raise Overloaded(f"{self._tokens} tokens are waiting; try again in {retry:.2f} s", retry)
        call = _Call(self._loop.create_future(), deadline, [None] * len(rows), len(rows))
        self._waiting.extend(_Item(call, position, row, len(row), now) for position, row in enumerate(rows))
        self._tokens += tokens
        self._schedule()
        try:
            return await call.done
        finally:
            if call.left:
                self._abandon(call)

    async def close(self) -> None:
        """Takes no more work and stops the workers after what they are computing; what waits fails as Draining."""
        self._closed = True
        for item in self._waiting:
            _fail(item.call, Draining("the server is shutting down"))
        self._waiting.clear()
        self._tokens = 0
        for worker in self._workers:
            worker.stop()

    def _schedule(self) -> None:
        """Looks for work once this turn of the loop is over, so that calls that arrive together meet in one batch."""
        if not self._scheduled and self._idle:
            self._scheduled = True
            self._loop.call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._scheduled = False
        while self._idle and self._waiting and not self._wide_running:
            window = self._window()
            if not window:
                break
            wide = self._has_wide and self._running == 0 and len(window) == 1 and not self._waiting
            share = -(-(len(window) + len(self._waiting)) // len(self._idle))
            chosen = self._choose(window, max(1, min(self._limits.batch_texts, share)))
            self._start(chosen, wide)
        self._observer.queue_changed(len(self._waiting), self._tokens)

    def _window(self) -> list[_Item]:
        """Takes the oldest live texts out of the queue; what is dead is swept out on the way."""
        now = self._loop.time()
        window: list[_Item] = []
        while self._waiting and len(window) < WINDOW:
            item = self._waiting.popleft()
            call = item.call
            if call.done.done():
                # its caller went away in this very turn of the loop, before `_abandon` could sweep
                self._tokens -= item.size
                self._observer.dropped(1, "cancelled")
                continue
            if call.deadline is not None and call.deadline <= now:
                self._tokens -= item.size
                self._observer.dropped(1 + self._release(call), "expired")
                _fail(call, DeadlineExceeded("the deadline passed while the text waited"))
                continue
            window.append(item)
        return window

    def _choose(self, window: list[_Item], most: int) -> list[_Item]:
        """The batch around the oldest text that computes the most real tokens for its cost; the rest goes back in order."""
        oldest = window[0]
        if oldest.alone or len(window) == 1:
            self._waiting.extendleft(reversed(window[1:]))
            return [oldest]
        order = sorted((item for item in window if not item.alone), key=_size)
        first, last = best_range([item.size for item in order], order.index(oldest), most, self._limits)
        chosen = order[first : last + 1]
        taken = set(map(id, chosen))
        self._waiting.extendleft(item for item in reversed(window) if id(item) not in taken)
        return chosen

    def _start(self, items: list[_Item], wide: bool) -> None:
        now = self._loop.time()
        for item in items:
            self._tokens -= item.size
            item.call.queue_s = max(item.call.queue_s, now - item.since)
        self._running += 1
        self._wide_running = wide
        self._idle.pop().give(_Batch(items, wide, now))

    def _finished(self, worker: _Worker, batch: _Batch) -> None:
        """On the worker's thread: one wake-up of the loop a batch."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._settle, worker, batch)

    def _settle(self, worker: _Worker, batch: _Batch) -> None:
        self._running -= 1
        if batch.wide:
            self._wide_running = False
        self._idle.append(worker)
        if batch.results is not None:
            self._dispatch()  # the worker's next batch first, then the replies
        if batch.results is None:
            self._recover(batch)
            return
        longest = max(item.size for item in batch.items)
        tokens = sum(item.size for item in batch.items)
        self._drain_rate.note(tokens, batch.seconds, len(self._workers) if not batch.wide else 1)
        for item, row in zip(batch.items, batch.results, strict=True):
            call = item.call
            call.rows[item.position] = row
            call.left -= 1
            call.inference_s = max(call.inference_s, batch.seconds)
            if call.left == 0 and not call.done.done():
                rows = [each for each in call.rows if each is not None]
                call.done.set_result(Computed(rows, call.queue_s, call.inference_s))
        padded = longest * len(batch.items)
        self._observer.batch_done(len(batch.items), tokens, padded, batch.seconds, batch.wide)

    def _recover(self, batch: _Batch) -> None:
        """A failed batch is tried again text by text; a text that fails alone fails its call."""
        for item in reversed(batch.items):
            if item.call.done.done():
                continue
            if len(batch.items) > 1:
                item.alone = True
                self._tokens += item.size
                self._waiting.appendleft(item)
            else:
                self._release(item.call)
                _fail(item.call, InferenceFailed("the model failed on this text", error=type(batch.error).__name__))
        self._dispatch()

    def _abandon(self, call: _Call) -> None:
        """The caller went away: its waiting texts no longer count; they are swept out when their turn comes."""
        waiting = self._release(call)
        if waiting:
            self._observer.dropped(waiting, "cancelled")
        if not call.done.done():
            call.done.cancel()

    def _release(self, call: _Call) -> int:
        """Takes the call's waiting texts off the books, once; returns how many there were."""
        waiting = [item for item in self._waiting if item.call is call]
        if waiting:
            gone = set(map(id, waiting))
            self._waiting = deque(item for item in self._waiting if id(item) not in gone)
            self._tokens -= sum(item.size for item in waiting)
        call.left = 0
        return len(waiting)


def _fail(call: _Call, failure: Failure) -> None:
    if not call.done.done():
        call.done.set_exception(failure)
