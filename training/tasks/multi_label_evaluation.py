"""How good a model is where texts can have several labels: scores, and a report for each label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, f1_score, precision_recall_fscore_support

from training.calibration import Reliability, binned, expected_calibration_error
from training.evaluation import LabelScores, label_scores
from training.intervals import Interval, Positions, bootstrap


@dataclass(frozen=True, slots=True)
class MultiLabelEvaluation:
    """Scores in [0, 1]."""

    micro_f1: float
    """Over all decisions, of which there is one for each row and label."""
    macro_f1: float
    """Mean over the labels that some row has; so is the mean average precision."""
    exact_match: float
    """Rows of which every label is right."""
    mean_average_precision: float
    reliability: Reliability
    per_label: list[LabelScores]

    def scores(self, before: Reliability) -> dict[str, float]:
        """The headline numbers, for records; `before` is the reliability without temperature scaling."""
        return {
            "micro_f1": self.micro_f1,
            "macro_f1": self.macro_f1,
            "exact_match": self.exact_match,
            "mean_average_precision": self.mean_average_precision,
            "calibration_error_before": expected_calibration_error(before),
            "calibration_error": expected_calibration_error(self.reliability),
        }


def uncertainty_of_labels(decided: NDArray[np.bool_], applies: NDArray[np.bool_]) -> dict[str, Interval]:
    """95 % intervals of micro F1, macro F1 and exact match over the rows; both [rows, labels]."""
    hits, said, given = decided & applies, decided, applies
    exact = (decided == applies).all(axis=1)

    def scores(positions: Positions) -> dict[str, float]:
        right = hits[positions].sum(axis=0)
        had = given[positions].sum(axis=0)
        both = said[positions].sum(axis=0) + had
        f1 = 2 * right / np.maximum(1, both)
        return {
            "micro_f1": float(2 * right.sum() / max(1, both.sum())),
            "macro_f1": float(f1[had > 0].mean()) if (had > 0).any() else 0.0,
            "exact_match": float(exact[positions].mean()),
        }

    return bootstrap(len(exact), scores)


def evaluate_labels(
    probabilities: NDArray[np.float64],
    truth: NDArray[np.float32],
    labels: Sequence[str],
    thresholds: Sequence[float],
) -> MultiLabelEvaluation:
    """Evaluates probabilities [rows, labels] at a threshold for each label; truth is 0 or 1, [rows, labels]."""
    decided, applies = probabilities >= np.array(thresholds), truth > 0
    precision, recall, f1, support = precision_recall_fscore_support(applies, decided, zero_division=0.0)
    present = support > 0
    average = np.array(
        [average_precision_score(applies[:, i], probabilities[:, i]) if present[i] else 0.0 for i in range(len(labels))]
    )
    per_label = [
        {**scores, "threshold": float(thresholds[i]), "average_precision": float(average[i])}
        for i, scores in enumerate(label_scores(labels, precision, recall, f1, support))
    ]
    return MultiLabelEvaluation(
        micro_f1=float(f1_score(applies, decided, average="micro", zero_division=0.0)),
        macro_f1=float(f1[present].mean()) if present.any() else 0.0,
        exact_match=float((decided == applies).all(axis=1).mean()),
        mean_average_precision=float(average[present].mean()) if present.any() else 0.0,
        reliability=binned(probabilities, applies),
        per_label=per_label,
    )
