"""One caller alone: what the server adds to the bare session and tokenizer of the same model.

Both answer the same texts in turns of a few dozen, so that drift of the machine meets both, and neither evicts the other's
weights from the caches at every text.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from benchmarks.figures import percentile
from benchmarks.generator import Call

TURN = 32
WARM = 4
"""Texts at the beginning of a turn that do not count."""


@dataclass(frozen=True, slots=True)
class Lone:
    """Latencies in milliseconds."""

    texts: int
    bare_p50_ms: float
    bare_p95_ms: float
    server_p50_ms: float
    server_p95_ms: float

    @property
    def difference_ms(self) -> float:
        """What the server adds to the median."""
        return self.server_p50_ms - self.bare_p50_ms


def lone(
    count: int,
    numbers: Sequence[int],
    bare: Callable[[int], object],
    server: Callable[[int], Call],
    until: Callable[[], bool],
) -> Lone:
    """Measures turns over the numbered texts until `until` says so, at least one turn; `count` texts a turn."""
    bare_s: list[float] = []
    server_s: list[float] = []
    at = 0
    while not bare_s or not until():
        turn = [numbers[(at + step) % len(numbers)] for step in range(count + WARM)]
        at += count
        bare_s += _timed(bare, turn)
        calls = [server(number) for number in turn][WARM:]
        server_s += [call.ended - call.began for call in calls if call.status == 0]
    bare_s.sort()
    server_s.sort()
    return Lone(
        len(bare_s),
        percentile(bare_s, 0.5) * 1e3,
        percentile(bare_s, 0.95) * 1e3,
        percentile(server_s, 0.5) * 1e3,
        percentile(server_s, 0.95) * 1e3,
    )


def _timed(work: Callable[[int], object], turn: Sequence[int]) -> list[float]:
    marks = [time.perf_counter()]
    for number in turn:
        work(number)
        marks.append(time.perf_counter())
    return [after - before for before, after in pairwise(marks)][WARM:]
