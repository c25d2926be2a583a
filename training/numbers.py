"""Numbers as labels: how they are read and written, which of them count as one, and the scale that they are learned on."""

from __future__ import annotations

import math
import re
import statistics
from bisect import bisect_right
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
MOST_BINS = 10
ROWS_PER_BIN = 10
"""A bin of fewer rows would give validation and test more than their share of it."""
MOST = 1e100
"""Squares of larger numbers, and of differences below 1 / MOST, leave what floating point can hold."""
SAME = 0.1
"""Standard deviations up to which the numbers of near-duplicates count as one."""


class Scale(BaseModel):
    """What numbers are standardised by before they are learned: those of the training rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: float
    deviation: float = Field(gt=0)
    """Standard deviation, of the population."""

    @classmethod
    def of(cls, values: Sequence[float]) -> Scale | None:
        """None where the values are all the same, or as good as that."""
        mean = math.fsum(value / len(values) for value in values)
        deviation = math.hypot(*((value - mean) / math.sqrt(len(values)) for value in values))
        return cls(mean=mean, deviation=deviation) if min(values) < max(values) and deviation > 1 / MOST else None

    def standardised(self, value: float) -> float:
        """In standard deviations from the mean."""
        return (value - self.mean) / self.deviation


def number_of(text: str) -> float:
    """The number that a cell holds, in plain or scientific notation. Raises ValueError that says what is wrong."""
    if not NUMBER.fullmatch(text):
        hint = " (write a decimal point, and nothing between thousands)" if "," in text else ""
        raise ValueError(f"{text[:80]!r} is no number{hint}")
    value = float(text)
    if abs(value) > MOST:
        raise ValueError(f"{text[:80]!r} is too large: numbers go to {MOST:.0e}")
    return value


def as_text(value: float) -> str:
    """The shortest text that reads as the number: 3 rather than 3.0."""
    return repr(value + 0.0).removesuffix(".0")


def quantile_bins(values: Sequence[float]) -> list[int]:
    """The bin of each value: up to ten of about as many values each; equal values are never torn apart."""
    count = max(1, min(MOST_BINS, len(values) // ROWS_PER_BIN))
    edges = sorted(set(statistics.quantiles(values, n=count, method="inclusive"))) if count > 1 else []
    return [bisect_right(edges, value) for value in values]
