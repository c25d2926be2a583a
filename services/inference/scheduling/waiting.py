"""The line of texts that wait for a worker, of one model. Not thread-safe: the scheduler holds its lock."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from services.inference.queries import Priority
from services.inference.scheduling.batch_selection import Limits, best_range
from services.inference.scheduling.work import Call, Item, State

WINDOW = 64
"""Waiting texts that a batch may choose from."""
YIELDS_S = {Priority.HIGH: 0.0, Priority.NORMAL: 1.0, Priority.LOW: 5.0}
"""How many seconds later than it arrived a text counts as arrived. So high overtakes whatever normal text has waited less
than a second, and a low one that has waited five seconds overtakes them all: nobody starves."""


@dataclass(slots=True)
class Swept:
    """What left the line on the way: calls whose deadline passed, with their texts, and texts nobody waits for."""

    expired: dict[Call, int] = field(default_factory=dict)
    cancelled: int = 0
    items: list[Item] = field(default_factory=list)


class WaitingLine:
    """Texts by priority and arrival. `tokens` and `len` count what somebody waits for."""

    def __init__(self, limits: Limits) -> None:
        self._levels: list[deque[Item]] = [deque() for _ in Priority]
        self._limits = limits
        self._live = 0
        self._dead = 0
        self.tokens = 0

    def __len__(self) -> int:
        return self._live

    def append(self, items: Iterable[Item]) -> None:
        """New texts, each behind those of its priority."""
        for item in items:
            self._levels[item.level].append(item)
            self._count(item)

    def put_back(self, item: Item) -> None:
        """A text before those of its priority."""
        item.state = State.WAITING
        self._levels[item.level].appendleft(item)
        self._count(item)

    def promote(self, item: Item, level: int, rank: float) -> Item:
        """Somebody of a higher priority waits for the text, too: it moves there. Returns what now stands for it."""
        self._drop(item)
        promoted = replace(item, state=State.WAITING, level=level, rank=rank)
        for call, _, _ in promoted.waiters:
            call.items.append(promoted)
        self.append([promoted])
        return promoted

    def leave(self, call: Call) -> list[Item]:
        """Nobody waits for the call's texts on its behalf any more. Returns those that left the line with it."""
        left = []
        for item in call.items:
            if item.state is State.GONE:
                continue
            item.waiters = [waiter for waiter in item.waiters if waiter[0] is not call]
            if not item.waiters and item.state is State.WAITING:
                self._drop(item)
                left.append(item)
        call.items = []
        if self._dead > self._live + WINDOW:
            self._compact()
        return left

    def clear(self) -> list[Call]:
        """Empties the line; returns the calls that waited."""
        calls = {waiter[0]: None for level in self._levels for item in level for waiter in item.waiters}
        for level in self._levels:
            for item in level:
                item.state = State.GONE
            level.clear()
        self._live = self._dead = self.tokens = 0
        return list(calls)

    def take(self, now: float, workers: int, swept: Swept) -> list[Item]:
        """Takes out the next batch for one of `workers` free ones; empty when nobody live waits.

        It holds the text of the lowest rank and those of like length that make it most efficient.
        """
        window = self._window(now, swept)
        if not window:
            return []
        share = -(-self._live // workers)
        chosen = self._choose(window, max(1, min(self._limits.batch_texts, share)))
        for item in chosen:
            item.state = State.RUNNING
            self._live -= 1
            self.tokens -= item.size
        for item in reversed(window):
            if item.state is State.WAITING:
                self._levels[item.level].appendleft(item)
        return chosen

    def _window(self, now: float, swept: Swept) -> list[Item]:
        """The live texts of the lowest ranks, taken out; what is dead leaves the line."""
        window: list[Item] = []
        while len(window) < WINDOW and (level := self._first()) is not None:
            item = level.popleft()
            if item.state is not State.WAITING:
                self._dead -= 1
            elif self._wanted(item, now, swept):
                window.append(item)
        return window

    def _first(self) -> deque[Item] | None:
        """The level whose first text has the lowest rank."""
        held = [level for level in self._levels if level]
        if len(held) <= 1:
            return held[0] if held else None
        return min(held, key=_rank_of_first)

    def _wanted(self, item: Item, now: float, swept: Swept) -> bool:
        """Whether anybody still waits for it; notes on the way whose deadline passed."""
        wanted = expired = False
        for call, _, _ in item.waiters:
            if call.done.done():
                continue
            if call.deadline is None or call.deadline > now:
                wanted = True
            else:
                expired = True
                swept.expired[call] = swept.expired.get(call, 0) + 1
        if wanted:
            return True
        item.state = State.GONE
        self._live -= 1
        self.tokens -= item.size
        swept.cancelled += not expired
        swept.items.append(item)
        return False

    def _choose(self, window: list[Item], most: int) -> list[Item]:
        first = window[0]
        if first.alone or len(window) == 1:
            return [first]
        order = sorted((item for item in window if not item.alone), key=_size)
        begin, end = best_range([item.size for item in order], order.index(first), most, self._limits)
        return order[begin : end + 1]

    def _count(self, item: Item) -> None:
        self._live += 1
        self.tokens += item.size

    def _drop(self, item: Item) -> None:
        """It stays where it lies until somebody passes by."""
        item.state = State.GONE
        self._live -= 1
        self._dead += 1
        self.tokens -= item.size

    def _compact(self) -> None:
        self._levels = [deque(item for item in level if item.state is State.WAITING) for level in self._levels]
        self._dead = 0


def _size(item: Item) -> int:
    return item.size


def _rank_of_first(level: deque[Item]) -> float:
    return level[0].rank
