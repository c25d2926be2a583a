"""A number a text, learned in standard deviations from the training rows' mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from training.correlation import Numbers
from training.dataset import Dataset, Example, Split
from training.intervals import Interval
from training.plots import plot_numbers
from training.settings import FineTuneSettings
from training.tasks.files import write_metrics, write_predictions
from training.tasks.number_evaluation import evaluate_numbers, r_squared, uncertainty_of_numbers
from training.tasks.task import Logits, Measured, Truth


class Regression:
    """Mean squared error, R²; nothing to calibrate."""

    def truth(self, examples: Sequence[Example], labels: Sequence[str]) -> Truth:
        """The standardised numbers, float32 [rows, 1]."""
        return np.array([[example.target] for example in examples], np.float32).reshape(len(examples), 1)

    def loss(self, settings: FineTuneSettings, dataset: Dataset) -> nn.Module:
        """Mean squared error, or Huber's, which is linear from one standard deviation on."""
        return nn.HuberLoss() if settings.loss == "huber" else nn.MSELoss()

    def score(self, logits: Logits, truth: Truth) -> float:
        """R², the share of the variance that the model explains; below 0 it is worse than the mean."""
        return r_squared(logits[:, 0].astype(np.float64), truth[:, 0].astype(np.float64))

    def measured(self, logits: Mapping[Split, Logits], dataset: Dataset) -> Measured:
        """Errors and correlations of both splits, in the units of the data."""
        rows = {Split.VALIDATION: dataset.validation, Split.TEST: dataset.test}
        truth = {split: np.array([example.value for example in rows[split]], np.float64) for split in rows}
        predicted = {split: _in_units(logits[split], dataset) for split in rows}
        metrics = {split.value: evaluate_numbers(predicted[split], truth[split]) for split in rows}
        return MeasuredNumbers(
            metrics=metrics, examples=dataset.test, predicted=predicted[Split.TEST], truth=truth[Split.TEST]
        )


@dataclass(frozen=True, kw_only=True)
class MeasuredNumbers(Measured):
    """The test split's, in the units of the data."""

    examples: list[Example]
    predicted: Numbers
    truth: Numbers

    def _write(self, folder: Path) -> dict[str, Interval]:
        intervals = uncertainty_of_numbers(self.predicted, self.truth)
        plot_numbers(self.predicted, self.truth, self.metrics["test"], folder / "predicted.png")
        write_metrics(folder, self.temperature, self.metrics, {"intervals": intervals})
        write_predictions(folder, map(_line, self.examples, self.predicted.tolist()))
        return intervals


def _in_units(logits: Logits, dataset: Dataset) -> Numbers:
    assert dataset.scale is not None
    numbers: Numbers = dataset.scale.mean + dataset.scale.deviation * logits[:, 0].astype(np.float64)
    return numbers


def _line(example: Example, predicted: float) -> dict[str, object]:
    pair = {} if example.text_pair is None else {"text_pair": example.text_pair}
    return {"text": example.text, **pair, "value": example.value, "predicted": float(f"{predicted:.7g}")}
