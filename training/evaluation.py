"""How good a model is on one split: scores, per-class report, confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from training.calibration import Reliability, expected_calibration_error, reliability
from training.intervals import Interval, Positions, bootstrap

LabelScores = dict[str, float | str]
"""Of one label: its name, precision, recall, f1 and number of rows, and what else a task knows of it."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores in [0, 1]. `confusion[i, j]` counts rows of label i that were given label j."""

    accuracy: float
    macro_f1: float
    weighted_f1: float
    reliability: Reliability
    per_class: list[LabelScores]
    confusion: NDArray[np.int64]

    def scores(self, before: Reliability) -> dict[str, float]:
        """The headline numbers, for records; `before` is the reliability without temperature scaling."""
        return {
            "accuracy": self.accuracy,
            "macro_f1": self.macro_f1,
            "weighted_f1": self.weighted_f1,
            "calibration_error_before": expected_calibration_error(before),
            "calibration_error": expected_calibration_error(self.reliability),
        }


def uncertainty(logits: NDArray[np.floating], truth: NDArray[np.int64]) -> dict[str, Interval]:
    """95 % intervals of accuracy and macro F1 over the rows, of logits or probabilities [rows, labels] and indices [rows]."""
    labels = logits.shape[1]
    pairs = truth * labels + logits.argmax(axis=1)

    def scores(positions: Positions) -> dict[str, float]:
        counts = np.bincount(pairs[positions], minlength=labels * labels).reshape(labels, labels)
        right, given, said = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
        f1 = 2 * right / np.maximum(1, given + said)
        return {"accuracy": float(right.sum() / len(positions)), "macro_f1": float(f1[given > 0].mean())}

    return bootstrap(len(truth), scores)


def evaluate(probabilities: NDArray[np.float64], truth: NDArray[np.int64], labels: list[str]) -> Evaluation:
    """Evaluates probabilities [rows, labels] against label indices int64 [rows]."""
    guesses = probabilities.argmax(axis=1)
    every = np.arange(len(labels))
    precision, recall, f1, support = precision_recall_fscore_support(truth, guesses, labels=every, zero_division=0.0)
    present = support > 0
    return Evaluation(
        accuracy=float((guesses == truth).mean()),
        macro_f1=float(f1[present].mean()),
        weighted_f1=float((f1 * support).sum() / support.sum()),
        reliability=reliability(probabilities, truth),
        per_class=label_scores(labels, precision, recall, f1, support),
        confusion=confusion_matrix(truth, guesses, labels=every),
    )


def label_scores(labels: Sequence[str], *scores: NDArray[np.float64]) -> list[LabelScores]:
    """Of each label, from what scikit-learn's precision_recall_fscore_support returns, each [labels]."""
    precision, recall, f1, support = scores
    return [
        {
            "label": label,
            "precision": float(precision[i]),
            "recall": float(recall[i]),
            "f1": float(f1[i]),
            "rows": int(support[i]),
        }
        for i, label in enumerate(labels)
    ]
