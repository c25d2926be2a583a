"""How one run's outputs are read, and a variant's compared with those of the checkpoint: one way a kind of task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from training.dataset import Example
from training.intervals import Positions

Outputs = NDArray[np.float32]
"""Of a graph, or of the checkpoint: [rows, labels], [rows, 1] of a number, or [words, labels] of all rows' words."""


@dataclass(frozen=True, slots=True)
class Drift:
    """What the company of a batch does to answers."""

    share: float
    """Of the rows, in [0, 1]: those whose answer changes."""
    largest: float | None
    """The largest change of an answer; None where answers are labels."""


@dataclass(frozen=True, slots=True)
class UnitScores:
    """A score as a function of what it is measured on, so that it can be measured on a resample."""

    units: int
    """Rows, or queries: what one can draw independently of the others."""
    at: Callable[[Positions], float]
    """The score of the units at these positions, some of which may occur more than once."""


class Comparison(Protocol):
    """Whatever `right` gives, goes back into the others beside outputs of the same rows."""

    def right(self, examples: Sequence[Example]) -> Any:
        """What the rows say is right, an array [rows, ...]."""

    def score(self, outputs: Outputs, right: Any) -> float:
        """The metric that the task is judged by: 1 at best."""

    def unit_scores(self, outputs: Outputs, right: Any) -> UnitScores:
        """The same metric on any choice of rows or queries; the outputs are finite."""

    def agreement(self, outputs: Outputs, reference: Outputs, right: Any) -> float:
        """How far a variant says what the checkpoint says, in [0, 1]."""

    def drift(self, alone: Outputs, in_company: Outputs, decisions: NDArray[np.int64]) -> Drift:
        """What changes when the same rows are computed in other company. `decisions`: how many each row holds, [rows]."""

    def difference(self, outputs: Outputs, reference: Outputs) -> float | None:
        """Mean distance of the variant's answers from the checkpoint's, in a unit that can be judged; None: there is none."""

    def calibration_error(self, outputs: Outputs, right: Any) -> float | None:
        """The expected calibration error at the run's temperature, of finite outputs; None: there are no probabilities."""
