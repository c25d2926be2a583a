"""The few statistics that the benchmark reports."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


def percentile(ordered: Sequence[float], share: float) -> float:
    """The nearest-rank percentile of ascending values, share in (0, 1]; NaN when there are none."""
    if not ordered:
        return math.nan
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@dataclass(frozen=True, slots=True)
class Ratio:
    """A rate against the limit measured around it. `low` and `high` take the fastest and the slowest limit."""

    value: float
    low: float
    high: float


def ratio(rate: float, limits: Sequence[float]) -> Ratio:
    """Rate over the median limit, with the spread that the limit's own noise leaves."""
    return Ratio(rate / statistics.median(limits), rate / max(limits), rate / min(limits))
