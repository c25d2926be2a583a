"""What a task decides: what is to be learned, by which loss, how a model is scored, and what a record says of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import nn

from training.dataset import Dataset, Example, Split
from training.intervals import Interval
from training.outputs import Logits
from training.settings import FineTuneSettings

__all__ = ["Judgement", "Logits", "Measured", "Objective", "Task", "Truth"]

Truth = NDArray[np.int64] | NDArray[np.float32]
"""What is right of each row: the index of its label, [rows]; 1 for each label that applies, else 0, [rows, labels]; the
standardised number, [rows, 1]; or relevance and number of the query, [rows, 2]."""
OfTask = TypeVar("OfTask", bound="Sequence[Any] | NDArray[Any]")
"""What is right in a task's own form; iterating it gives the target of each row (`training.encoding.Target`)."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the validation rows decided, and how good the model is."""

    temperature: float
    thresholds: list[float] | None
    metrics: dict[str, dict[str, float]]
    """Split -> metric -> value."""
    intervals: dict[str, Interval]
    """Metric -> 95 % interval of its value on the test rows."""
    shift: float = 0.0
    """What is added to every logit before the checkpoint is saved."""


@dataclass(frozen=True, kw_only=True)
class Measured(ABC):
    """A judgement before it is written down. Each task keeps in a form of its own what the files are made of."""

    metrics: dict[str, dict[str, float]]
    temperature: float = 1.0
    thresholds: list[float] | None = None
    shift: float = 0.0

    def written(self, folder: Path) -> Judgement:
        """Leaves metrics, plots and predictions in a folder, which exists, and adds the intervals, which take as long."""
        return Judgement(self.temperature, self.thresholds, self.metrics, self._write(folder), self.shift)

    @abstractmethod
    def _write(self, folder: Path) -> dict[str, Interval]:
        """Writes the files; returns the intervals."""


class Objective(Protocol[OfTask]):
    """What a training loop needs to know of the question that a model learns to answer."""

    def truth(self, examples: Sequence[Example], labels: Sequence[str]) -> OfTask:
        """What is right, for the loss and the scores."""

    def loss(self, settings: FineTuneSettings, dataset: Dataset) -> nn.Module:
        """Makes one number of a batch's outputs, float32, and of the targets that the collator made of what is right."""

    def score(self, logits: Logits, truth: OfTask) -> float:
        """How good the model is, 1 at best; the epoch with the highest score is kept."""


class Task(Objective[OfTask], Protocol[OfTask]):
    """One kind of question that a classifier can answer, and how good its answers are."""

    def measured(self, logits: Mapping[Split, Logits], dataset: Dataset) -> Measured:
        """Decides on the validation rows what is to be decided, then measures both splits."""
