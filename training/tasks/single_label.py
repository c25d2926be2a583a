"""One label a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from training.calibration import fit_temperature, reliability, softmax
from training.conformal import conformal_thresholds, coverage_report
from training.dataset import Dataset, Example, Split
from training.evaluation import evaluate, uncertainty
from training.losses import FocalLoss
from training.plots import plot_calibration, plot_confusion
from training.schedule import class_weights
from training.settings import FineTuneSettings
from training.tasks.files import write_metrics, write_predictions
from training.tasks.task import Judgement, Logits, Truth

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

    def judge(self, logits: Mapping[Split, Logits], dataset: Dataset, folder: Path) -> Judgement:
        """Accuracy, F1 and calibration error of both splits; confusion matrix."""
        truths = {
            Split.VALIDATION: self._indices(dataset.validation, dataset),
            Split.TEST: self._indices(dataset.test, dataset),
        }
        temperature = fit_temperature(logits[Split.VALIDATION], truths[Split.VALIDATION])
        probabilities = {split: softmax(logits[split] / temperature) for split in truths}
        results = {split: evaluate(probabilities[split], truths[split], dataset.labels) for split in truths}
        raw = {split: reliability(softmax(logits[split]), truths[split]) for split in truths}
        metrics = {split.value: result.scores(raw[split]) for split, result in results.items()}
        test = results[Split.TEST]
        plot_confusion(test.confusion, dataset.labels, folder / "confusion.png")
        errors = (metrics["test"]["calibration_error_before"], metrics["test"]["calibration_error"])
        plot_calibration(raw[Split.TEST], test.reliability, errors, AXES, folder / "calibration.png")
        intervals = uncertainty(logits[Split.TEST], truths[Split.TEST])
        thresholds = conformal_thresholds(probabilities[Split.VALIDATION], truths[Split.VALIDATION])
        more = {
            "intervals": intervals,
            "prediction_sets": coverage_report(probabilities[Split.TEST], truths[Split.TEST], thresholds),
            "per_class": test.per_class,
            "confusion": test.confusion.tolist(),
        }
        write_metrics(folder, temperature, metrics, more)
        rows = zip(dataset.test, probabilities[Split.TEST], strict=True)
        write_predictions(folder, (self._line(example, row, dataset) for example, row in rows))
        return Judgement(temperature, None, metrics, intervals)

    def _indices(self, examples: Sequence[Example], dataset: Dataset) -> NDArray[np.int64]:
        return self.truth(examples, dataset.labels).astype(np.int64, copy=False)

    @staticmethod
    def _line(example: Example, row: NDArray[np.float64], dataset: Dataset) -> dict[str, object]:
        best = int(row.argmax())
        return {
            "text": example.text,
            "label": example.label,
            "predicted": dataset.labels[best],
            "probability": round(float(row[best]), 6),
        }
