"""A number a text, learned in standard deviations from the training rows' mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from training.dataset import Dataset, Example, Split
from training.failures import InvalidSettings
from training.plots import plot_numbers
from training.settings import FineTuneSettings
from training.tasks.files import write_metrics, write_predictions
from training.tasks.number_evaluation import evaluate_numbers, r_squared, uncertainty_of_numbers
from training.tasks.task import Judgement, Logits, Truth


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

    def judge(self, logits: Mapping[Split, Logits], dataset: Dataset, folder: Path) -> Judgement:
        """Errors and correlations of both splits, in the units of the data; predicted against true numbers as a plot."""
        if not all(np.isfinite(each).all() for each in logits.values()):
            raise InvalidSettings("the training diverged: the model's outputs are not finite; lower learning_rate")
        rows = {Split.VALIDATION: dataset.validation, Split.TEST: dataset.test}
        truth = {split: np.array([example.value for example in rows[split]], np.float64) for split in rows}
        predicted = {split: _in_units(logits[split], dataset) for split in rows}
        metrics = {split.value: evaluate_numbers(predicted[split], truth[split]) for split in rows}
        intervals = uncertainty_of_numbers(predicted[Split.TEST], truth[Split.TEST])
        plot_numbers(predicted[Split.TEST], truth[Split.TEST], metrics["test"], folder / "predicted.png")
        write_metrics(folder, 1.0, metrics, {"intervals": intervals})
        write_predictions(folder, map(_line, dataset.test, predicted[Split.TEST].tolist()))
        return Judgement(1.0, None, metrics, intervals)


def _in_units(logits: Logits, dataset: Dataset) -> NDArray[np.float64]:
    assert dataset.scale is not None
    numbers: NDArray[np.float64] = dataset.scale.mean + dataset.scale.deviation * logits[:, 0].astype(np.float64)
    return numbers


def _line(example: Example, predicted: float) -> dict[str, object]:
    pair = {} if example.text_pair is None else {"text_pair": example.text_pair}
    return {"text": example.text, **pair, "value": example.value, "predicted": float(f"{predicted:.7g}")}
