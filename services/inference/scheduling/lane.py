"""The lane of one model: its callers, their texts, and the promise that each call settles exactly once.

A call ends with all of its rows, with the failure of its batch, or with its caller's cancellation; always on the event
loop's thread. Equal texts that are in flight at the same time are computed once.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Protocol

from services.inference.prediction import Encoded
from services.inference.queries import Priority
from services.inference.scheduling.admission import Admission
from services.inference.scheduling.batch_selection import Limits
from services.inference.scheduling.drain_rate import DrainRate
from services.inference.scheduling.waiting import YIELDS_S, Swept, WaitingLine
from services.inference.scheduling.work import Batch, Call, Compute, Computed, Item, Result, State
from services.platform.failures import DeadlineExceeded, Draining, InferenceFailed, Overloaded

FIRST_GUESS_S = 1e-4
"""Seconds a token, until the first batch was timed."""


class Observer(Protocol):
    """Hears what a lane does; called on the event loop's thread."""

    def queue_changed(self, texts: int, tokens: int) -> None:
        """The queue's size now."""

    def batch_done(self, rows: int, tokens: int, padded: int, seconds: float, wide: bool) -> None:
        """A batch was computed."""

    def dropped(self, texts: int, reason: str) -> None:
        """Texts left before compute: "expired", "cancelled" or "refused"."""

    def coalesced(self, texts: int) -> None:
        """Texts joined equal ones that were already in flight."""


class Shared(Protocol):
    """What a lane asks of the scheduler."""

    lock: threading.Lock
    workers: int

    @property
    def backlogged_lanes(self) -> int:
        """How many models have texts waiting; at least 1."""

    def clock(self) -> float:
        """Now."""

    def wake(self) -> None:
        """There may be work."""

    def remove(self, lane: Lane) -> None:
        """Forgets a closed lane."""


class Lane:
    """The queue of one model. Made by `Scheduler.lane`."""

    def __init__(self, scheduler: Shared, compute: Compute, limits: Limits, observer: Observer) -> None:
        self._scheduler = scheduler
        self.compute = compute
        self.limits = limits
        self._observer = observer
        self._rate = DrainRate()
        self._admission = Admission(limits, self._rate)
        self._flight: dict[bytes, Item] = {}
        self._rested = asyncio.Event()
        # workers and the event loop share what follows, under the scheduler's lock
        self.line = WaitingLine(limits)
        self.running = 0
        self.closed = False
        self.clock = 0.0
        self.backlogged = False

    @property
    def waiting(self) -> bool:
        """Whether texts wait."""
        return len(self.line) > 0

    @property
    def queued_texts(self) -> int:
        """Texts waiting."""
        return len(self.line)

    @property
    def queued_tokens(self) -> int:
        """Tokens waiting."""
        return self.line.tokens

    @property
    def running_batches(self) -> int:
        """Batches being computed."""
        return self.running

    def admit(self, tokens: int, priority: Priority = Priority.NORMAL, texts: int = 1) -> None:
        """Raises Overloaded or Draining when so many more tokens would not be taken now. Cheap: ask before tokenizing."""
        if self.closed:
            raise Draining("the model is being unloaded")
        if tokens and (waiting := self.line.tokens):
            try:
                self._admission.check(waiting, tokens, priority, self._scheduler.backlogged_lanes)
            except Overloaded:
                self._observer.dropped(texts, "refused")
                raise

    async def submit(
        self, rows: Sequence[Encoded], deadline: float | None, priority: Priority = Priority.NORMAL
    ) -> Computed:
        """Waits for the results of all rows. `deadline` is in the scheduler's clock.

        Raises Overloaded, DeadlineExceeded, Draining or InferenceFailed, for the call as a whole.
        """
        now = self._scheduler.clock()
        if deadline is not None and deadline <= now:
            raise DeadlineExceeded("the deadline had passed before the call was queued")
        keys = [row.key() for row in rows]
        self.admit(
            sum(len(row) for row, key in zip(rows, keys, strict=True) if key not in self._flight), priority, len(rows)
        )
        call = Call(asyncio.get_running_loop().create_future(), deadline, [None] * len(rows), len(rows))
        with self._scheduler.lock:
            joined = self._enter(call, rows, keys, now, priority)
        if joined:
            self._observer.coalesced(joined)
        self._scheduler.wake()
        try:
            return await call.done
        finally:
            if call.left:
                self._abandon(call)

    def _enter(self, call: Call, rows: Sequence[Encoded], keys: list[bytes], now: float, priority: Priority) -> int:
        """Puts the rows into the line, or beside equal ones; returns how many found one. With the lock held."""
        level, rank = int(priority), now + YIELDS_S[priority]
        joined = 0
        for position, (row, key) in enumerate(zip(rows, keys, strict=True)):
            item = self._flight.get(key)
            if item is None or item.state is State.GONE:
                item = Item(row, key, len(row), rank, level, [(call, position, now)])
                self._flight[key] = item
                call.items.append(item)
                self.line.append((item,))
                continue
            joined += 1
            item.waiters.append((call, position, now))
            call.items.append(item)
            if item.state is State.WAITING and rank < item.rank:
                self._flight[key] = self.line.promote(item, level, rank)
        return joined

    async def close(self) -> None:
        """Takes no more work; what waits fails as Draining; ends when nothing of it is computed any more."""
        with self._scheduler.lock:
            self.closed = True
            waiting = self.line.clear()
        for call in waiting:
            call.fail(Draining("the server is shutting down"))
        self._flight.clear()
        if self.running:
            await self._rested.wait()
        self._scheduler.remove(self)

    def settle(self, batch: Batch) -> None:
        """Hands the results of a batch, or its failure, to whoever waits for them. On the event loop's thread."""
        if batch.results is None:
            self._recover(batch)
        else:
            self._deliver(batch, batch.results)
        if self.closed and not self.running:
            self._rested.set()

    def _deliver(self, batch: Batch, results: Sequence[Result]) -> None:
        for item, row in zip(batch.items, results, strict=True):
            self._forget(item)
            for call, position, since in item.waiters:
                self._give(call, position, row, batch, since)
            item.waiters = []
        tokens = batch.tokens
        self._rate.note(tokens, batch.seconds, max(1, self._scheduler.workers // batch.cores))
        self._observer.batch_done(len(batch.items), tokens, batch.padded, batch.seconds, batch.wide)

    @staticmethod
    def _give(call: Call, position: int, row: object, batch: Batch, since: float) -> None:
        call.rows[position] = row
        call.left -= 1
        call.queue_s = max(call.queue_s, batch.begun - since)
        call.inference_s = max(call.inference_s, batch.seconds)
        call.batch_texts = max(call.batch_texts, len(batch.items))
        if call.left == 0 and not call.done.done():
            call.items = []
            call.done.set_result(Computed(call.rows, call.queue_s, call.inference_s, call.batch_texts))

    def _recover(self, batch: Batch) -> None:
        """A failed batch is tried again text by text; a text that fails alone fails its calls."""
        for item in reversed(batch.items):
            wanted = any(not call.done.done() for call, _, _ in item.waiters)
            if wanted and len(batch.items) > 1 and not self.closed:
                item.alone = True
                with self._scheduler.lock:
                    self.line.put_back(item)
                continue
            self._forget(item)
            for call, _, _ in list(item.waiters):
                self._release(call)
                call.fail(InferenceFailed("the model failed on this text", error=type(batch.error).__name__))

    def sweep(self, swept: Swept) -> None:
        """Settles what left the line without being computed. On the event loop's thread."""
        for item in swept.items:
            self._forget(item)
        for call, texts in swept.expired.items():
            self._observer.dropped(texts + self._release(call), "expired")
            call.fail(DeadlineExceeded("the deadline passed while the text waited"))
        if swept.cancelled:
            self._observer.dropped(swept.cancelled, "cancelled")

    def expected_seconds(self, tokens: int) -> float:
        """How long a worker will need for so many tokens, by what earlier batches took."""
        rate = self._rate.tokens_per_s
        at_once = max(1, self._scheduler.workers // self.limits.cores)
        return tokens * at_once / rate if rate else tokens * FIRST_GUESS_S

    def report(self) -> None:
        """Tells the observer how much waits."""
        self._observer.queue_changed(len(self.line), self.line.tokens)

    def _abandon(self, call: Call) -> None:
        """The caller went away, or the call failed: texts that nobody else waits for leave the line."""
        waiting = self._release(call)
        if waiting:
            self._observer.dropped(waiting, "cancelled")
        call.done.cancel()

    def _release(self, call: Call) -> int:
        call.left = 0
        with self._scheduler.lock:
            left = self.line.leave(call)
        for item in left:
            self._forget(item)
        return len(left)

    def _forget(self, item: Item) -> None:
        item.state = State.GONE
        if self._flight.get(item.key) is item:
            del self._flight[item.key]
