"""From which probability a label applies, chosen on validation rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FEWEST_ROWS = 8
"""Validation rows that must have a label, or its own threshold would be chance; it then takes the one for all labels."""
LOWEST, HIGHEST = 0.02, 0.98
"""A threshold beyond these would rest on a few rows of the sample, and let everything or nothing through elsewhere."""


def chosen_thresholds(probabilities: NDArray[np.float64], truth: NDArray[np.float32]) -> list[float]:
    """For each label the threshold of the highest F1, in 0.02..0.98; both [rows, labels], truth of 0 and 1.

    Labels of few rows take the threshold of the highest micro F1 over all labels.
    """
    shared = best_threshold(probabilities.ravel(), truth.ravel())
    return [
        best_threshold(probabilities[:, label], truth[:, label]) if truth[:, label].sum() >= FEWEST_ROWS else shared
        for label in range(truth.shape[1])
    ]


def best_threshold(probabilities: NDArray[np.float64], truth: NDArray[np.float32]) -> float:
    """The threshold in 0.02..0.98 with the highest F1 over these rows, in the middle between two of them; 0.5 without any.

    Of several that are as good, the one nearest to 0.5: where rows leave a wide gap, its edges are no place for a threshold.
    """
    total = float(truth.sum())
    if not total:
        return 0.5
    order = np.argsort(probabilities, kind="stable")
    ascending = probabilities[order]
    # hits[i]: rows that have the label among those from position i on
    hits = np.append(truth[order][::-1].cumsum()[::-1], 0.0)
    middles = (ascending[1:] + ascending[:-1]) / 2
    thresholds = np.unique(np.clip([LOWEST, *middles, HIGHEST], LOWEST, HIGHEST))
    begin = np.searchsorted(ascending, thresholds, side="left")
    f1 = 2 * hits[begin] / (len(ascending) - begin + total)
    best = thresholds[f1 >= f1.max() - 1e-12]
    return float(best[np.abs(best - 0.5).argmin()])
