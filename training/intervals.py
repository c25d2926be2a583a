"""How far a score may be off because the rows it was measured on are a sample: percentile bootstrap (Efron 1979)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1_000
LEVEL = 0.95

Interval = tuple[float, float]
Positions = NDArray[np.int64]


def bootstrap(rows: int, scores: Callable[[Positions], dict[str, float]], seed: int = 0) -> dict[str, Interval]:
    """The interval that holds the score of 95 % of the resamples, for each score.

    `scores` measures the rows at the given positions, some of which occur more than once. Deterministic.
    """
    random = np.random.default_rng(seed)
    drawn: dict[str, list[float]] = {}
    for _ in range(RESAMPLES):
        for name, value in scores(random.integers(0, rows, rows)).items():
            drawn.setdefault(name, []).append(value)
    tail = (1 - LEVEL) / 2
    return {name: _interval(values, tail) for name, values in drawn.items()}


def _interval(values: list[float], tail: float) -> Interval:
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)
