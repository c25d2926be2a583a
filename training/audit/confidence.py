"""Confident learning through cleanlab: which labels are issues, and how good each one is.

Northcutt, Jiang, Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 70.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.packages import require


@dataclass(frozen=True, slots=True)
class Confidence:
    """What confident learning says of every row."""

    issue: NDArray[np.bool_]
    """[rows]: the label is most likely wrong."""
    quality: NDArray[np.float64]
    """[rows], 0..1: the probability of the given label; the lowest are the most suspicious."""
    noise_rate: float
    """Estimated share of wrong labels, 0..1, from the calibrated confident joint."""


def require_cleanlab() -> None:
    """Raises MissingPackage that says what to install; to be called before anything that takes long."""
    require("cleanlab", "the label audit", "audit")


def judge_labels(truth: NDArray[np.int64], probabilities: NDArray[np.float64]) -> Confidence:
    """Judges the given labels int64 [rows] by out-of-sample probabilities [rows, labels], each row summing to 1."""
    require_cleanlab()
    from cleanlab.count import num_label_issues
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    # of cleanlab's filters and scores these found most planted errors; n_jobs: forking after torch's threads can hang
    issue = find_label_issues(truth, probabilities, filter_by="low_self_confidence", n_jobs=1)
    issue &= probabilities.argmax(axis=1) != truth
    quality = get_label_quality_scores(truth, probabilities, method="self_confidence")
    return Confidence(issue, quality, float(num_label_issues(truth, probabilities)) / len(truth))
