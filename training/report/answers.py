"""What a model says of rows and what is right of them, in one form for one label a text and for several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from training.calibration import sigmoid, softmax
from training.dataset import Example
from training.intervals import Interval, Positions, bootstrap
from training.run import RunRecord
from training.tasks import task_of

TASKS = ("single_label_classification", "multi_label_classification")
"""Those whose answers are labels of a text; of other tasks a report says what their own metrics say."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Of some rows; all arrays are [rows, labels]. With one label a text, each row of `given` and `right` has one True."""

    labels: list[str]
    several: bool
    """Whether a text can have several labels, or none."""
    probabilities: NDArray[np.float64]
    given: NDArray[np.bool_]
    right: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.given)

    def at(self, positions: Sequence[int] | NDArray[np.int64]) -> Answers:
        """Those of the rows at these positions."""
        rows = np.asarray(positions, np.int64)
        return replace(self, probabilities=self.probabilities[rows], given=self.given[rows], right=self.right[rows])

    @property
    def exact(self) -> NDArray[np.bool_]:
        """Of each row: whether all of its labels are right."""
        whole: NDArray[np.bool_] = (self.given == self.right).all(axis=1)
        return whole

    @property
    def score(self) -> float:
        """The metric that the task is judged by: accuracy, or micro F1."""
        if not self.several:
            return float(self.exact.mean())
        return _f1(int((self.given & self.right).sum()), int(self.given.sum()), int(self.right.sum()))

    @property
    def interval(self) -> Interval:
        """The score's 95 % interval over the rows."""
        hits, given, right = (each.sum(axis=1) for each in (self.given & self.right, self.given, self.right))
        exact = self.exact

        def score(rows: Positions) -> dict[str, float]:
            if not self.several:
                return {"score": float(exact[rows].mean())}
            return {"score": _f1(int(hits[rows].sum()), int(given[rows].sum()), int(right[rows].sum()))}

        return bootstrap(len(self), score)["score"]

    @property
    def doubt(self) -> NDArray[np.float64]:
        """Of each row and label: the probability that the model states for what it decided of this label."""
        if not self.several:
            return self.probabilities
        return np.where(self.given, self.probabilities, 1 - self.probabilities)

    def differ(self, other: Answers) -> NDArray[np.bool_]:
        """Of each row: whether the other answers give it other labels."""
        differs: NDArray[np.bool_] = (self.given != other.given).any(axis=1)
        return differs

    def names(self, row: int, of: NDArray[np.bool_]) -> list[str]:
        """The labels of a row in `given` or `right`, the most probable first."""
        applying = np.flatnonzero(of[row])
        return [self.labels[i] for i in applying[np.argsort(-self.probabilities[row, applying], kind="stable")]]


def answers(record: RunRecord, logits: NDArray[np.float32], examples: Sequence[Example]) -> Answers:
    """From logits [rows, labels] of the run's model, with its temperature and thresholds."""
    truth = task_of(record.task).truth(examples, record.labels)
    every = np.arange(len(record.labels))
    if record.thresholds is None:
        probabilities = softmax(logits / record.temperature)
        given, right = probabilities.argmax(axis=1)[:, None] == every, truth[:, None] == every
        return Answers(record.labels, False, probabilities, given, right)
    probabilities = sigmoid(logits / record.temperature)
    return Answers(record.labels, True, probabilities, probabilities >= np.array(record.thresholds), truth > 0)


def _f1(hits: int, given: int, right: int) -> float:
    return 2 * hits / (given + right) if hits else 0.0
