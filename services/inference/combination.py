"""Results of the windows of one text become one result."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.inference.prediction import Reading
from services.inference.queries import Combination, Options


def combined(reading: Reading, rows: Sequence[NDArray[np.float32]], options: Options) -> NDArray[np.float32]:
    """One array float32 [n] of those of the windows: their mean, weighted by tokens, or the highest of each element."""
    if len(rows) == 1:
        return rows[0]
    stacked = np.stack(rows)
    if options.windows is not None and options.windows.combination is Combination.MAX:
        highest: NDArray[np.float32] = stacked.max(axis=0)
        return highest
    weights = np.array([len(window) for window in reading.windows], np.float32)
    mean: NDArray[np.float32] = (stacked * (weights / weights.sum())[:, None]).sum(axis=0)
    return mean
