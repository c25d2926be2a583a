"""A computation for the scheduler that takes as long as a test wants and remembers what it was given."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from services.inference.prediction import Encoded


class FakeComputation:
    """Answers each row with [its first id, its length]. With `hold`, batches wait until `release` is set."""

    def __init__(self, hold: bool = False, poison: int | None = None) -> None:
        self.release = threading.Event()
        if not hold:
            self.release.set()
        self.started = threading.Semaphore(0)
        self.batches: list[list[int]] = []
        self.wide: list[bool] = []
        self._poison = poison
        self._lock = threading.Lock()

    def __call__(self, rows: list[Encoded], wide: bool) -> NDArray[np.float32]:
        """As `services.inference.scheduling.work.Compute`."""
        with self._lock:
            self.batches.append([int(row.input_ids[0]) for row in rows])
            self.wide.append(wide)
        self.started.release()
        self.release.wait(timeout=30)
        if self._poison is not None and any(int(row.input_ids[0]) == self._poison for row in rows):
            raise RuntimeError("poisoned")
        return np.array([[row.input_ids[0], len(row)] for row in rows], np.float32)


class FakeObserver:
    """Counts what a lane says."""

    def __init__(self) -> None:
        self.drops: list[tuple[int, str]] = []
        self.done: list[tuple[int, int, int]] = []
        self.joined = 0

    def queue_changed(self, texts: int, tokens: int) -> None:
        """Ignored."""

    def batch_done(self, rows: int, tokens: int, padded: int, seconds: float, wide: bool) -> None:
        """Remembers sizes."""
        self.done.append((rows, tokens, padded))

    def coalesced(self, texts: int) -> None:
        """Counts."""
        self.joined += texts

    def dropped(self, texts: int, reason: str) -> None:
        """Remembers why."""
        self.drops.append((texts, reason))


def encoded(number: int, length: int = 4) -> Encoded:
    """A row whose first id is `number`."""
    ids = np.full(length, number, np.int64)
    return Encoded(ids)
