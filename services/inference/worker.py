"""A thread that computes batches, one after the other, for as long as there are any."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.inference.prediction import Encoded
from services.inference.waiting import Item


class Compute(Protocol):
    """Turns a batch into rows of results: float32 [rows, labels]. Called on worker threads; `wide` takes all cores."""

    def __call__(self, rows: list[Encoded], wide: bool) -> NDArray[np.float32]:
        """Computes a batch."""


@dataclass(eq=False, slots=True)
class Batch:
    """Texts that are computed together, and what came of it: results, or an error."""

    items: list[Item]
    wide: bool
    results: NDArray[np.float32] | None = None
    error: Exception | None = None
    seconds: float = 0.0


class Worker:
    """Computes what it is given. `finished` hands a batch over and returns the next one, or None to go idle."""

    def __init__(self, name: str, compute: Compute, finished: Callable[[Worker, Batch], Batch | None]) -> None:
        self._inbox: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._compute = compute
        self._finished = finished
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def give(self, batch: Batch) -> None:
        """Wakes the idle worker for a batch."""
        self._inbox.put(batch)

    def stop(self) -> None:
        """Ends the thread once it is idle."""
        self._inbox.put(None)

    def _run(self) -> None:
        while (given := self._inbox.get()) is not None:
            batch: Batch | None = given
            while batch is not None:
                begun = time.perf_counter()
                try:
                    batch.results = self._compute([item.encoded for item in batch.items], batch.wide)
                except Exception as error:
                    batch.error = error
                batch.seconds = time.perf_counter() - begun
                batch = self._finished(self, batch)
