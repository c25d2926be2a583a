"""What logits decide: the label of a text, or which labels it has. Variants are compared by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.comparison import Drift, Outputs, UnitScores
from training.calibration import binned, expected_calibration_error, reliability, sigmoid, softmax
from training.dataset import Example, TaskName
from training.intervals import Positions
from training.run import RunRecord
from training.tasks import task_of

Decided = NDArray[np.int64] | NDArray[np.bool_]
"""Indices of the labels, [rows]; or whether each label applies, [rows, labels]."""


@dataclass(frozen=True, slots=True)
class Decisions:
    """How one run's logits are read. `cuts`: the logit from which each label applies; None: the best label does."""

    task: TaskName
    labels: list[str]
    cuts: NDArray[np.float32] | None
    temperature: float = 1.0

    @classmethod
    def of(cls, record: RunRecord) -> Decisions:
        """Those of a run."""
        if record.thresholds is None:
            return cls(record.task, record.labels, None, record.temperature)
        thresholds = np.array(record.thresholds)
        cuts = record.temperature * np.log(thresholds / (1 - thresholds))
        return cls(record.task, record.labels, cuts.astype(np.float32), record.temperature)

    def made(self, logits: Outputs) -> Decided:
        """Of logits [rows, labels]."""
        return logits.argmax(axis=1) if self.cuts is None else logits >= self.cuts

    def right(self, examples: Sequence[Example]) -> Decided:
        """What the rows say."""
        truth = task_of(self.task).truth(examples, self.labels)
        right: Decided = truth.astype(np.int64) if self.cuts is None else truth > 0
        return right

    def score(self, outputs: Outputs, right: Decided) -> float:
        """Accuracy; with several labels a row the F1 over all decisions. In [0, 1]."""
        decided = self.made(outputs)
        if self.cuts is None:
            return _equal(decided, right)
        return _f1(int((decided & right).sum()), int((decided != right).sum()))

    def unit_scores(self, outputs: Outputs, right: Decided) -> UnitScores:
        """The same, by row."""
        decided = self.made(outputs)
        wrong = decided != right
        if self.cuts is None:
            return UnitScores(len(wrong), lambda at: 1.0 - float(wrong[at].mean()))
        hits, misses = (decided & right).sum(axis=1), wrong.sum(axis=1)

        def f1(at: Positions) -> float:
            return _f1(int(hits[at].sum()), int(misses[at].sum()))

        return UnitScores(len(hits), f1)

    def agreement(self, outputs: Outputs, reference: Outputs, right: Decided) -> float:
        """Share of equal decisions, of which there is one for each row, or for each row and label."""
        return _equal(self.made(outputs), self.made(reference))

    def drift(self, alone: Outputs, in_company: Outputs, decisions: NDArray[np.int64]) -> Drift:
        """Share of the rows that are not decided alike."""
        differs = self.made(alone) != self.made(in_company)
        return Drift(float((differs if differs.ndim == 1 else differs.any(axis=1)).mean()), None)

    def difference(self, outputs: Outputs, reference: Outputs) -> None:
        """Logits have no unit."""
        return

    def calibration_error(self, outputs: Outputs, right: Decided) -> float:
        """Of the best label's probability; with several labels a row, of every label's."""
        scaled = outputs / np.float32(self.temperature)
        bins = (
            reliability(softmax(scaled), right.astype(np.int64))
            if self.cuts is None
            else binned(sigmoid(scaled), right)
        )
        return expected_calibration_error(bins)


def _f1(hits: int, wrong: int) -> float:
    return 2 * hits / (2 * hits + wrong) if hits else 0.0


def _equal(one: Decided, other: Decided) -> float:
    return float((one == other).mean())
