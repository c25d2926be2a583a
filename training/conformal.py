"""Sets of labels that hold the right one with a stated probability: split conformal prediction. Pure: numpy alone.

The set of a text holds every label that is probable enough: the least ambiguous set-valued classifier (Sadinle, Lei, Wasserman
2019; section 1 of Angelopoulos and Bates 2021, "A Gentle Introduction to Conformal Prediction"), and the best label in any case.
For texts drawn as the calibration rows were, it holds the right label at least as often as the level says, whatever the model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LEVELS = tuple(round(0.5 + step / 100, 2) for step in range(50))
"""Coverage levels that are calibrated: 0.5, 0.51, ... 0.99."""
SHOWN = (0.8, 0.9, 0.95, 0.99)
"""Those that a report measures."""


def conformal_thresholds(probabilities: NDArray[np.float64], truth: NDArray[np.int64]) -> list[float]:
    """For each of `LEVELS` the probability from which a label belongs to the set; of probabilities [rows, labels].

    With n rows, the level c takes the ceil((n + 1) c)-th highest probability of a right label; 0, which lets every label in,
    where n rows are too few to promise that much.
    """
    right = np.sort(probabilities[np.arange(len(truth)), truth])[::-1]
    positions = [math.ceil((len(right) + 1) * level - 1e-9) for level in LEVELS]
    return [float(right[position - 1]) if position <= len(right) else 0.0 for position in positions]


def threshold_for(coverage: float, levels: Sequence[float], thresholds: Sequence[float]) -> float | None:
    """The threshold of the lowest level that promises so much; None if none does. Levels ascend."""
    pairs = zip(levels, thresholds, strict=True)
    return next((threshold for level, threshold in pairs if level >= coverage - 1e-6), None)


def in_set(probabilities: NDArray[np.float64], threshold: float) -> NDArray[np.bool_]:
    """Which labels belong to the set of each row, [rows, labels]."""
    member: NDArray[np.bool_] = probabilities >= threshold
    member[np.arange(len(member)), probabilities.argmax(axis=1)] = True
    return member


def coverage_report(
    probabilities: NDArray[np.float64], truth: NDArray[np.int64], thresholds: Sequence[float]
) -> dict[str, dict[str, float]]:
    """Level -> how often the set holds the right label, labels a set, and share of sets of one label; over other rows."""
    report = {}
    for level in SHOWN:
        threshold = threshold_for(level, LEVELS, thresholds)
        assert threshold is not None
        member = in_set(probabilities, threshold)
        sizes = member.sum(axis=1)
        report[f"{level:g}"] = {
            "coverage": float(member[np.arange(len(truth)), truth].mean()),
            "mean_size": float(sizes.mean()),
            "single": float((sizes == 1).mean()),
        }
    return report
