"""What waits and is computed: texts, the calls that wait for them, and the batches that they travel in."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Protocol

from services.inference.prediction import Encoded

Result = Any
"""What a computation makes of one row; the scheduler does not look at it."""


class Compute(Protocol):
    """Turns a batch into one result a row, in order. Called on worker threads; `wide` takes all cores."""

    def __call__(self, rows: list[Encoded], wide: bool) -> Sequence[Result]:
        """Computes a batch."""


@dataclass(frozen=True, slots=True)
class Computed:
    """Results of one call, rows in its order, and how long its slowest text waited and was computed, in seconds."""

    rows: list[Result]
    queue_s: float
    inference_s: float
    batch_texts: int = 0
    """Texts of the largest batch that one of its rows travelled in."""


@dataclass(eq=False, slots=True)
class Call:
    """One caller, waiting for `left` more rows."""

    done: asyncio.Future[Computed]
    deadline: float | None
    rows: list[Result]
    left: int
    items: list[Item] = field(default_factory=list)
    queue_s: float = 0.0
    inference_s: float = 0.0
    batch_texts: int = 0

    def fail(self, failure: Exception) -> None:
        """Settles the call with a failure, unless it is settled. On the event loop's thread."""
        if not self.done.done():
            self.done.set_exception(failure)


class State(IntEnum):
    """Where a text stands."""

    WAITING = 0
    RUNNING = 1
    GONE = 2
    """Computed, failed, or wanted by nobody."""


@dataclass(eq=False, slots=True)
class Item:
    """A text to compute, once, for everybody who sent the same one meanwhile."""

    encoded: Encoded
    key: bytes
    """Equal for texts whose result is the same."""
    size: int
    rank: float
    """Texts of the lowest rank come first: time of arrival plus what its priority makes it yield."""
    level: int
    waiters: list[tuple[Call, int, float]]
    """The calls that wait for it, at which position of theirs, and since when."""
    state: State = State.WAITING
    alone: bool = False
    """Its batch failed: it is tried once more by itself, so that a bad text fails no neighbour."""


class Owner(Protocol):
    """The lane that a batch belongs to."""

    compute: Compute
    running: int
    """Batches of it that are being computed."""
    clock: float
    """Worker seconds it got, as far as fairness is concerned."""
    backlogged: bool
    """Whether texts of it waited when it was last looked at."""

    @property
    def waiting(self) -> bool:
        """Whether texts of it wait now."""

    def settle(self, batch: Batch) -> None:
        """Hands out what came of a batch."""


@dataclass(eq=False, slots=True)
class Batch:
    """Texts that are computed together, and what came of it: results, or an error."""

    items: list[Item]
    owner: Owner
    wide: bool
    begun: float
    expected_s: float
    cores: int = 1
    """That it takes while it runs."""
    results: Sequence[Result] | None = None
    error: Exception | None = None
    seconds: float = 0.0

    @property
    def tokens(self) -> int:
        """Real tokens."""
        return sum(item.size for item in self.items)

    @property
    def padded(self) -> int:
        """Tokens that are computed, padding included."""
        return len(self.items) * max(item.size for item in self.items)
