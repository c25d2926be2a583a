"""How well two series of numbers agree."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Numbers = NDArray[np.float64]
"""[rows]."""


def correlation(one: Numbers, other: Numbers) -> float:
    """Pearson's, in [-1, 1]; 0 where one of them does not vary."""
    one, other = one - one.mean(), other - other.mean()
    size = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(np.clip(one @ other / size, -1.0, 1.0)) if size > 0 else 0.0


def rank_correlation(one: Numbers, other: Numbers) -> float:
    """Spearman's: Pearson's of the ranks, of which equal numbers share the mean."""
    return correlation(rankdata(one), rankdata(other))
