"""What repeated timings are worth on a machine that does other things, too.

Others make a run slower, never faster: so a time is the lower quartile of its repetitions. Two variants are compared within
each round, where both met the same machine, and then over the rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from statistics import median

import numpy as np

from export.choices import Relative

OUTSIDE = 0.05
"""How often the true median may lie outside of the stated bounds."""


def lower_quartile(values: Sequence[float]) -> float:
    """Robust against slow outliers."""
    return float(np.quantile(np.array(values), 0.25))


def relative(times: Sequence[float], reference: Sequence[float]) -> Relative:
    """The median of the rounds' ratios, with bounds by order statistics (sign test), which assume no distribution.

    With fewer than six rounds the bounds are the extremes, and cover less than 95 %.
    """
    ratios = sorted(time / other for time, other in zip(times, reference, strict=True))
    cut = _cut(len(ratios))
    return Relative(ratio=median(ratios), low=ratios[cut], high=ratios[-1 - cut])


def _cut(rounds: int) -> int:
    """How many ratios at each end the bounds leave out: as many as keep 95 % between them."""
    outside, cut = 0.0, 0
    while cut < (rounds - 1) // 2:
        outside += 2 * comb(rounds, cut) / 2**rounds
        # P(fewer than cut + 2 of the rounds lie below the median), both sides
        if outside + 2 * comb(rounds, cut + 1) / 2**rounds > OUTSIDE:
            break
        cut += 1
    return cut


def weighted_median(values: Sequence[float], weights: Sequence[float]) -> float:
    """The value that half of the weight does not exceed."""
    order = np.argsort(values)
    passed = np.cumsum(np.array(weights)[order])
    return float(np.array(values)[order][int(np.searchsorted(passed, passed[-1] / 2))])
