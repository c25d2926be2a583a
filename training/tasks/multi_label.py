"""Any number of labels a text: each is a question of its own, answered with yes from its own threshold on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score
from torch import nn

from training.calibration import Reliability, binned, fit_binary_temperature, sigmoid
from training.dataset import Dataset, Example, Split
from training.intervals import Interval
from training.losses import BinaryFocalLoss
from training.plots import plot_calibration, plot_label_scores
from training.settings import FineTuneSettings
from training.tasks.files import write_metrics, write_predictions
from training.tasks.multi_label_evaluation import MultiLabelEvaluation, evaluate_labels, uncertainty_of_labels
from training.tasks.task import Logits, Measured, Truth
from training.tasks.thresholds import chosen_thresholds

AXES = ("stated probability of a label", "share of texts that have it")
MOST_WEIGHT = 20.0
"""Of the rows that have a rare label, with balanced weights."""


class MultiLabel:
    """Binary cross-entropy of each label, mean average precision, a temperature for all and a threshold for each."""

    def truth(self, examples: Sequence[Example], labels: Sequence[str]) -> Truth:
        """1 where the label applies, else 0: float32 [rows, labels]."""
        return _matrix(examples, labels)

    def loss(self, settings: FineTuneSettings, dataset: Dataset) -> nn.Module:
        """Binary cross-entropy, or focal loss; mean over rows and labels."""
        weights = _weights(dataset) if settings.class_weights == "balanced" else None
        if settings.loss == "focal":
            return BinaryFocalLoss(settings.focal_gamma, weights)
        return nn.BCEWithLogitsLoss(pos_weight=weights)

    def score(self, logits: Logits, truth: Truth) -> float:
        """Mean over the labels of the average precision, which needs no threshold; labels that no row has do not count."""
        present = truth.sum(axis=0) > 0
        if not present.any():
            return 0.0
        return float(average_precision_score(truth[:, present], logits[:, present], average="macro"))

    def measured(self, logits: Mapping[Split, Logits], dataset: Dataset) -> Measured:
        """F1 at the thresholds, average precision and calibration error of both splits."""
        labels = dataset.labels
        truths = {Split.VALIDATION: _matrix(dataset.validation, labels), Split.TEST: _matrix(dataset.test, labels)}
        temperature = fit_binary_temperature(logits[Split.VALIDATION], truths[Split.VALIDATION])
        probabilities = {split: sigmoid(logits[split] / temperature) for split in truths}
        thresholds = chosen_thresholds(probabilities[Split.VALIDATION], truths[Split.VALIDATION])
        results = {split: evaluate_labels(probabilities[split], truths[split], labels, thresholds) for split in truths}
        raw = {split: binned(sigmoid(logits[split]), truths[split] > 0) for split in truths}
        metrics = {split.value: result.scores(raw[split]) for split, result in results.items()}
        return MeasuredDecisions(
            temperature=temperature,
            thresholds=thresholds,
            metrics=metrics,
            dataset=dataset,
            truth=truths[Split.TEST],
            probabilities=probabilities[Split.TEST],
            before=raw[Split.TEST],
            test=results[Split.TEST],
        )


@dataclass(frozen=True, kw_only=True)
class MeasuredDecisions(Measured):
    """`truth`, `probabilities` and `test` are of the test split; `before` is its reliability at temperature 1."""

    thresholds: list[float]
    dataset: Dataset
    truth: NDArray[np.float32]
    probabilities: NDArray[np.float64]
    before: Reliability
    test: MultiLabelEvaluation

    def _write(self, folder: Path) -> dict[str, Interval]:
        errors = (self.metrics["test"]["calibration_error_before"], self.metrics["test"]["calibration_error"])
        plot_calibration(self.before, self.test.reliability, errors, AXES, folder / "calibration.png")
        _plot(self.test, folder / "labels.png")
        decided = self.probabilities >= np.array(self.thresholds)
        intervals = uncertainty_of_labels(decided, self.truth > 0)
        more = {"intervals": intervals, "per_label": self.test.per_label}
        write_metrics(folder, self.temperature, self.metrics, more)
        rows = zip(self.dataset.test, self.probabilities, strict=True)
        labels = self.dataset.labels
        write_predictions(folder, (_line(example, row, labels, self.thresholds) for example, row in rows))
        return intervals


def _matrix(examples: Sequence[Example], labels: Sequence[str]) -> NDArray[np.float32]:
    index = {label: position for position, label in enumerate(labels)}
    matrix = np.zeros((len(examples), len(labels)), np.float32)
    for row, example in enumerate(examples):
        matrix[row, [index[label] for label in example.given]] = 1.0
    return matrix


def _weights(dataset: Dataset) -> torch.Tensor:
    """Of the rows that have a label: as much as those that do not, within 1..20; float32 [labels]."""
    having = _matrix(dataset.train, dataset.labels).sum(axis=0)
    weights = (len(dataset.train) - having) / np.maximum(1.0, having)
    return torch.from_numpy(np.clip(weights, 1.0, MOST_WEIGHT)).float()


def _plot(test: MultiLabelEvaluation, path: Path) -> None:
    scores = {str(each["label"]): float(each["f1"]) for each in test.per_label}
    plot_label_scores(scores, {str(each["label"]): int(each["rows"]) for each in test.per_label}, path)


def _line(
    example: Example, row: NDArray[np.float64], labels: Sequence[str], thresholds: Sequence[float]
) -> dict[str, object]:
    applying = [i for i in np.argsort(-row, kind="stable").tolist() if row[i] >= thresholds[i]]
    return {
        "text": example.text,
        "labels": example.given,
        "predicted": [labels[i] for i in applying],
        "probabilities": [round(float(row[i]), 6) for i in applying],
    }
