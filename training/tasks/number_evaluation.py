"""How good predicted numbers are: share of variance explained, errors, correlations."""

from __future__ import annotations

import numpy as np

from training.correlation import Numbers, correlation, rank_correlation
from training.intervals import Interval, Positions, bootstrap


def evaluate_numbers(predicted: Numbers, truth: Numbers) -> dict[str, float]:
    """R² (1 at best, 0 for the mean of the rows, without a lower bound), mean absolute and root mean squared error in the
    numbers' units, and the correlations of Pearson and, by ranks, Spearman (in [-1, 1]; 0 where all predictions are equal)."""
    error = predicted - truth
    return {
        "r2": r_squared(predicted, truth),
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt(np.square(error).mean())),
        "pearson": correlation(predicted, truth),
        "spearman": rank_correlation(predicted, truth),
    }


def uncertainty_of_numbers(predicted: Numbers, truth: Numbers) -> dict[str, Interval]:
    """95 % intervals of the same over the rows."""

    def scores(positions: Positions) -> dict[str, float]:
        return evaluate_numbers(predicted[positions], truth[positions])

    return bootstrap(len(truth), scores)


def r_squared(predicted: Numbers, truth: Numbers) -> float:
    """Coefficient of determination. Where the truth does not vary: 1 for what is exact, else 0. -inf where a prediction is not
    finite, as of an exported variant that overflowed."""
    if not np.isfinite(predicted).all():
        return float("-inf")
    unexplained = float(np.square(predicted - truth).sum())
    whole = float(np.square(truth - truth.mean()).sum())
    if whole == 0.0:
        return float(unexplained == 0.0)
    return 1.0 - unexplained / whole
