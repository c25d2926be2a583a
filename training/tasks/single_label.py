"""One label a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from training.calibration import Reliability, fit_temperature, reliability, softmax
from training.conformal import conformal_thresholds, coverage_report
from training.dataset import Dataset, Example, Split
from training.evaluation import Evaluation, evaluate, uncertainty
from training.intervals import Interval
from training.losses import FocalLoss
from training.plots import plot_calibration, plot_confusion
from training.schedule import class_weights
from training.settings import FineTuneSettings
from training.tasks.files import write_metrics, write_predictions
from training.tasks.task import Logits, Measured, Truth

AXES = ("stated probability of the best label", "share of rows where it was right")


class SingleLabel:
    """Cross-entropy, accuracy, temperature scaling."""

    def truth(self, examples: Sequence[Example], labels: Sequence[str]) -> Truth:
        """Indices of the labels, int64 [rows]."""
        index = {label: position for position, label in enumerate(labels)}
        return np.array([index[example.label] for example in examples], np.int64)

    def loss(self, settings: FineTuneSettings, dataset: Dataset) -> nn.Module:
        """Cross-entropy, or focal loss."""
        weights = class_weights(settings.class_weights, dataset.train, dataset.labels, settings.sampling)
        if settings.loss == "focal":
            return FocalLoss(settings.focal_gamma, weights)
        return nn.CrossEntropyLoss(weights, label_smoothing=settings.label_smoothing)

    def score(self, logits: Logits, truth: Truth) -> float:
        """Accuracy."""
        return float((logits.argmax(axis=1) == truth).mean())

    def measured(self, logits: Mapping[Split, Logits], dataset: Dataset) -> Measured:
        """Accuracy, F1 and calibration error of both splits."""
        truths = {
            Split.VALIDATION: self._indices(dataset.validation, dataset),
            Split.TEST: self._indices(dataset.test, dataset),
        }
        temperature = fit_temperature(logits[Split.VALIDATION], truths[Split.VALIDATION])
        probabilities = {split: softmax(logits[split] / temperature) for split in truths}
        results = {split: evaluate(probabilities[split], truths[split], dataset.labels) for split in truths}
        raw = {split: reliability(softmax(logits[split]), truths[split]) for split in truths}
        metrics = {split.value: result.scores(raw[split]) for split, result in results.items()}
        return MeasuredLabels(
            temperature=temperature,
            metrics=metrics,
            dataset=dataset,
            truths=truths,
            probabilities=probabilities,
            before=raw[Split.TEST],
            test=results[Split.TEST],
        )

    def _indices(self, examples: Sequence[Example], dataset: Dataset) -> NDArray[np.int64]:
        return self.truth(examples, dataset.labels).astype(np.int64, copy=False)


@dataclass(frozen=True, kw_only=True)
class MeasuredLabels(Measured):
    """`truths` and `probabilities` are of validation and test; `before` is the test split's reliability at temperature 1."""

    dataset: Dataset
    truths: dict[Split, NDArray[np.int64]]
    probabilities: dict[Split, NDArray[np.float64]]
    before: Reliability
    test: Evaluation

    def _write(self, folder: Path) -> dict[str, Interval]:
        labels, truth, probabilities = self.dataset.labels, self.truths[Split.TEST], self.probabilities[Split.TEST]
        plot_confusion(self.test.confusion, labels, folder / "confusion.png")
        errors = (self.metrics["test"]["calibration_error_before"], self.metrics["test"]["calibration_error"])
        plot_calibration(self.before, self.test.reliability, errors, AXES, folder / "calibration.png")
        intervals = uncertainty(probabilities, truth)
        thresholds = conformal_thresholds(self.probabilities[Split.VALIDATION], self.truths[Split.VALIDATION])
        more = {
            "intervals": intervals,
            "prediction_sets": coverage_report(probabilities, truth, thresholds),
            "per_class": self.test.per_class,
            "confusion": self.test.confusion.tolist(),
        }
        write_metrics(folder, self.temperature, self.metrics, more)
        rows = zip(self.dataset.test, probabilities, strict=True)
        write_predictions(folder, (_line(example, row, labels) for example, row in rows))
        return intervals


def _line(example: Example, row: NDArray[np.float64], labels: Sequence[str]) -> dict[str, object]:
    best = int(row.argmax())
    return {
        "text": example.text,
        "label": example.label,
        "predicted": labels[best],
        "probability": round(float(row[best]), 6),
    }
