"""The line of texts that wait for a worker, and the calls they belong to. Not thread-safe: the batcher holds its lock."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from services.inference.batch_selection import Limits, best_range
from services.inference.prediction import Encoded

WINDOW = 64
"""Waiting texts that a batch may choose from."""


@dataclass(frozen=True, slots=True)
class Computed:
    """Results of one call, rows in its order, and how long its slowest text waited and was computed, in seconds."""

    rows: list[NDArray[np.float32]]
    queue_s: float
    inference_s: float


@dataclass(eq=False, slots=True)
class Call:
    """One caller, waiting for `left` more rows."""

    done: asyncio.Future[Computed]
    deadline: float | None
    rows: list[NDArray[np.float32] | None]
    left: int
    queue_s: float = 0.0
    inference_s: float = 0.0

    def fail(self, failure: Exception) -> None:
        """Settles the call with a failure, unless it is settled. On the event loop's thread."""
        if not self.done.done():
            self.done.set_exception(failure)


@dataclass(eq=False, slots=True)
class Item:
    """One text of a call."""

    call: Call
    position: int
    encoded: Encoded
    size: int
    since: float
    alone: bool = False
    """Its batch failed: it is tried once more by itself, so that a bad text fails no neighbour."""


@dataclass(slots=True)
class Swept:
    """What left the line on the way: calls whose deadline passed, with their texts, and texts nobody waits for."""

    expired: list[tuple[Call, int]] = field(default_factory=list)
    cancelled: int = 0


class WaitingLine:
    """Texts in order of arrival. `tokens` is always the sum over the texts in it."""

    def __init__(self, limits: Limits) -> None:
        self._items: deque[Item] = deque()
        self._limits = limits
        self.tokens = 0

    def __len__(self) -> int:
        return len(self._items)

    def append(self, items: Iterable[Item]) -> None:
        """New texts at the end."""
        for item in items:
            self._items.append(item)
            self.tokens += item.size

    def put_back(self, item: Item) -> None:
        """A text at the front."""
        self._items.appendleft(item)
        self.tokens += item.size

    def remove(self, call: Call) -> int:
        """Takes out the texts of a call; returns how many there were."""
        removed = [item for item in self._items if item.call is call]
        if removed:
            self._items = deque(item for item in self._items if item.call is not call)
            self.tokens -= sum(item.size for item in removed)
        return len(removed)

    def clear(self) -> list[Call]:
        """Empties the line; returns the calls that waited."""
        calls = [item.call for item in self._items]
        self._items.clear()
        self.tokens = 0
        return calls

    def take(self, now: float, workers: int, swept: Swept) -> list[Item]:
        """Takes out the next batch for one of `workers` free ones; empty when nobody live waits.

        It holds the oldest text and those of like length that make it most efficient.
        """
        window = self._window(now, swept)
        if not window:
            return []
        share = -(-(len(window) + len(self._items)) // workers)
        chosen = self._choose(window, max(1, min(self._limits.batch_texts, share)))
        taken = set(map(id, chosen))
        self._items.extendleft(item for item in reversed(window) if id(item) not in taken)
        self.tokens -= sum(item.size for item in chosen)
        return chosen

    def _window(self, now: float, swept: Swept) -> list[Item]:
        """The oldest live texts; what is dead leaves the line."""
        window: list[Item] = []
        while self._items and len(window) < WINDOW:
            item = self._items.popleft()
            if item.call.done.done():
                self.tokens -= item.size
                swept.cancelled += 1
            elif item.call.deadline is not None and item.call.deadline <= now:
                self.tokens -= item.size
                swept.expired.append((item.call, 1 + self.remove(item.call)))
            else:
                window.append(item)
        return window

    def _choose(self, window: list[Item], most: int) -> list[Item]:
        oldest = window[0]
        if oldest.alone or len(window) == 1:
            return [oldest]
        order = sorted((item for item in window if not item.alone), key=_size)
        first, last = best_range([item.size for item in order], order.index(oldest), most, self._limits)
        return order[first : last + 1]


def _size(item: Item) -> int:
    return item.size
