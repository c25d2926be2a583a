"""How good a model is on one split: scores, per-class report, confusion matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from training.calibration import expected_calibration_error, reliability, softmax
from training.intervals import Interval, Positions, bootstrap


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores in [0, 1]. `confusion[i, j]` counts rows of label i that were given label j."""

    accuracy: float
    macro_f1: float
    weighted_f1: float
    calibration_error: float
    per_class: list[dict[str, float | str]]
    confusion: NDArray[np.int64]

    def scores(self) -> dict[str, float]:
        """The headline numbers, for records."""
        return {
            "accuracy": self.accuracy,
            "macro_f1": self.macro_f1,
            "weighted_f1": self.weighted_f1,
            "calibration_error": self.calibration_error,
        }


def uncertainty(logits: NDArray[np.float32], truth: NDArray[np.int64]) -> dict[str, Interval]:
    """95 % intervals of accuracy and macro F1 over the rows; arguments as for `evaluate`."""
    labels = logits.shape[1]
    pairs = truth * labels + logits.argmax(axis=1)

    def scores(positions: Positions) -> dict[str, float]:
        counts = np.bincount(pairs[positions], minlength=labels * labels).reshape(labels, labels)
        right, given, said = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
        f1 = 2 * right / np.maximum(1, given + said)
        return {"accuracy": float(right.sum() / len(positions)), "macro_f1": float(f1[given > 0].mean())}

    return bootstrap(len(truth), scores)


def evaluate(
    logits: NDArray[np.float32], truth: NDArray[np.int64], labels: list[str], temperature: float
) -> Evaluation:
    """Evaluates logits float32 [rows, labels] against label indices int64 [rows]."""
    guesses = logits.argmax(axis=1)
    every = np.arange(len(labels))
    precision, recall, f1, support = precision_recall_fscore_support(truth, guesses, labels=every, zero_division=0.0)
    present = support > 0
    per_class: list[dict[str, float | str]] = [
        {
            "label": label,
            "precision": float(precision[i]),
            "recall": float(recall[i]),
            "f1": float(f1[i]),
            "rows": int(support[i]),
        }
        for i, label in enumerate(labels)
    ]
    return Evaluation(
        accuracy=float((guesses == truth).mean()),
        macro_f1=float(f1[present].mean()),
        weighted_f1=float((f1 * support).sum() / support.sum()),
        calibration_error=expected_calibration_error(reliability(softmax(logits / temperature), truth)),
        per_class=per_class,
        confusion=confusion_matrix(truth, guesses, labels=every),
    )
