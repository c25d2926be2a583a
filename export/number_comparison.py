"""Numbers of a variant beside the checkpoint's. Graphs give them in standard deviations of the training rows' numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from export.comparison import Drift, Outputs, UnitScores
from training.correlation import rank_correlation
from training.dataset import Example
from training.numbers import Scale
from training.tasks.number_evaluation import r_squared

DRIFT = 0.01
"""Standard deviations from which on a number that moves with its company counts as another one."""


class NumberComparison:
    """Rank agreement, distance and R²."""

    def __init__(self, scale: Scale) -> None:
        self._scale = scale

    def right(self, examples: Sequence[Example]) -> NDArray[np.float64]:
        """The standardised numbers, [rows]."""
        return np.array([self._scale.standardised(e.value) for e in examples if e.value is not None], np.float64)

    def score(self, outputs: Outputs, right: NDArray[np.float64]) -> float:
        """R²."""
        return r_squared(_numbers(outputs), right)

    def unit_scores(self, outputs: Outputs, right: NDArray[np.float64]) -> UnitScores:
        """The same, by row."""
        numbers = _numbers(outputs)
        return UnitScores(len(numbers), lambda at: r_squared(numbers[at], right[at]))

    def agreement(self, outputs: Outputs, reference: Outputs, right: NDArray[np.float64]) -> float:
        """Spearman's rank correlation with the checkpoint; 0 where it is negative."""
        return max(0.0, rank_correlation(_numbers(outputs), _numbers(reference)))

    def drift(self, alone: Outputs, in_company: Outputs, decisions: NDArray[np.int64]) -> Drift:
        """Numbers that move by more than a hundredth of a standard deviation."""
        moved = np.abs(_numbers(alone) - _numbers(in_company))
        return Drift(float((moved > DRIFT).mean()), float(moved.max()))

    def difference(self, outputs: Outputs, reference: Outputs) -> float:
        """Mean absolute difference, in standard deviations."""
        return float(np.abs(_numbers(outputs) - _numbers(reference)).mean())

    def calibration_error(self, outputs: Outputs, right: NDArray[np.float64]) -> None:
        """Numbers are no probabilities."""
        return


def _numbers(outputs: Outputs) -> NDArray[np.float64]:
    return outputs[:, 0].astype(np.float64)
