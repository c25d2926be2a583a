"""Things that happen beside a soak, each on a thread of its own: memory is read, labels are moved."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from itertools import cycle
from statistics import median


class Repeated:
    """Does something every `seconds`, until the block ends. What it raises is raised again at the end of the block."""

    def __init__(self, seconds: float, work: Callable[[], None]) -> None:
        self._seconds = seconds
        self._work = work
        self._stop = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Repeated:
        self._thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._error is not None and kind is None:
            raise self._error

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            try:
                self._work()
            except Exception as error:
                self._error = error
                return


class Memory:
    """Resident memory over time, seconds since the beginning -> bytes."""

    def __init__(self, read: Callable[[], int]) -> None:
        self._read = read
        self._begun = time.monotonic()
        self.samples: list[tuple[float, int]] = []

    def note(self) -> None:
        """One more sample."""
        self.samples.append((time.monotonic() - self._begun, self._read()))

    def spans(self, warm: float, length: float) -> list[float]:
        """Medians of whole spans of `length` seconds after `warm` seconds."""
        spans: dict[int, list[int]] = {}
        for at, size in self.samples:
            if at >= warm:
                spans.setdefault(int((at - warm) / length), []).append(size)
        if spans:
            spans.pop(max(spans))  # not whole
        return [median(sizes) for _, sizes in sorted(spans.items())]


class Swaps:
    """Moves a label from version to version."""

    def __init__(self, move: Callable[[int], None], versions: Sequence[int], told: Callable[[int], None]) -> None:
        """`versions` begins with the one that has the label now; `told` hears of each move."""
        self._next = cycle([*versions[1:], versions[0]])
        self._move = move
        self._told = told
        self.count = 0

    def swap(self) -> None:
        """The next version's turn."""
        version = next(self._next)
        self._move(version)
        self.count += 1
        self._told(version)


def growth(medians: Sequence[float]) -> float:
    """How much larger the last third is than the first, by their medians; as a share of the first."""
    third = max(1, len(medians) // 3)
    return median(medians[-third:]) / median(medians[:third]) - 1
