"""Tags of a variant beside the checkpoint's. Outputs are logits of all rows' words, [words, labels]."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from export.comparison import Drift, Outputs, UnitScores
from training.calibration import expected_calibration_error, reliability, softmax
from training.dataset import Example
from training.intervals import Positions
from training.tagging.scores import micro_f1
from training.tagging.word_labels import WordLabels


class TagComparison:
    """Agreement of words, F1 of whole entities."""

    def __init__(self, labels: list[str], temperature: float = 1.0) -> None:
        self._labels = labels
        self._temperature = temperature

    def right(self, examples: Sequence[Example]) -> WordLabels:
        """The labels of the words of rows that know them."""
        return WordLabels(examples, self._labels)

    def score(self, outputs: Outputs, right: WordLabels) -> float:
        """F1 over all entities, in [0, 1]."""
        return micro_f1(right.entities, right.decoded(_tags(outputs)))

    def unit_scores(self, outputs: Outputs, right: WordLabels) -> UnitScores:
        """The same, by text."""
        pairs = list(zip(right.entities, right.decoded(_tags(outputs)), strict=True))
        hits = np.array([len(set(given) & set(said)) for given, said in pairs], np.int64)
        both = np.array([len(given) + len(said) for given, said in pairs], np.int64)

        def f1(at: Positions) -> float:
            return 2 * int(hits[at].sum()) / max(1, int(both[at].sum()))

        return UnitScores(len(pairs), f1)

    def agreement(self, outputs: Outputs, reference: Outputs, right: WordLabels) -> float:
        """Share of the words with the same label."""
        return float((_tags(outputs) == _tags(reference)).mean())

    def drift(self, alone: Outputs, in_company: Outputs, decisions: NDArray[np.int64]) -> Drift:
        """Rows of which the label of any word changes."""
        row_of_word = np.repeat(np.arange(len(decisions)), decisions)
        changed = row_of_word[_tags(alone) != _tags(in_company)]
        return Drift(len(np.unique(changed)) / len(decisions), None)

    def difference(self, outputs: Outputs, reference: Outputs) -> None:
        """Logits have no unit."""
        return

    def calibration_error(self, outputs: Outputs, right: WordLabels) -> float:
        """Of the best label's probability, over all words."""
        return expected_calibration_error(reliability(softmax(outputs / np.float32(self._temperature)), right.flat))


def _tags(outputs: Outputs) -> NDArray[np.int64]:
    tags: NDArray[np.int64] = outputs.argmax(axis=1)
    return tags
