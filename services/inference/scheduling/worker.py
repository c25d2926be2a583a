"""A thread that computes batches, one after the other, for as long as there are any."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable
from typing import Protocol

from services.inference.scheduling.work import Batch


class Worker(Protocol):
    """Computes what it is given."""

    def give(self, batch: Batch) -> None:
        """Wakes the idle worker for a batch."""

    def stop(self) -> None:
        """Ends it once it is idle."""


Finished = Callable[[Worker, Batch], Batch | None]
"""Hands a computed batch over and returns the next one, or None to go idle."""


class ThreadWorker:
    """A worker on a thread of its own.

    With `niceness` (0 to 19), the kernel lets the event loop's thread go first where both want a core: a loop that waits for
    workers cannot take calls in, refuse them or notice that their callers are gone (decision 3).
    """

    def __init__(self, name: str, finished: Finished, niceness: int = 0) -> None:
        self._niceness = niceness
        self._inbox: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._finished = finished
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def give(self, batch: Batch) -> None:
        """Wakes the idle worker for a batch."""
        self._inbox.put(batch)

    def stop(self) -> None:
        """Ends the thread once it is idle."""
        self._inbox.put(None)

    def _run(self) -> None:
        if self._niceness:
            with contextlib.suppress(OSError):  # forbidden in some sandboxes
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), self._niceness)
        while (given := self._inbox.get()) is not None:
            batch: Batch | None = given
            given = None  # while the worker is idle, it keeps no model in memory
            while batch is not None:
                begun = time.perf_counter()
                try:
                    batch.results = batch.owner.compute([item.encoded for item in batch.items], batch.wide)
                except Exception as error:
                    batch.error = error
                batch.seconds = time.perf_counter() - begun
                batch = self._finished(self, batch)
