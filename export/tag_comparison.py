"""Tags of a variant beside the checkpoint's. Outputs are logits of all rows' words, [words, labels]."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from export.comparison import Drift, Outputs
from training.dataset import Example
from training.tagging.scores import micro_f1
from training.tagging.word_labels import WordLabels


class TagComparison:
    """Agreement of words, F1 of whole entities."""

    def __init__(self, labels: list[str]) -> None:
        self._labels = labels

    def right(self, examples: Sequence[Example]) -> WordLabels:
        """The labels of the words of rows that know them."""
        return WordLabels(examples, self._labels)

    def score(self, outputs: Outputs, right: WordLabels) -> float:
        """F1 over all entities, in [0, 1]."""
        return micro_f1(right.entities, right.decoded(_tags(outputs)))

    def agreement(self, outputs: Outputs, reference: Outputs, right: WordLabels) -> float:
        """Share of the words with the same label."""
        return float((_tags(outputs) == _tags(reference)).mean())

    def drift(self, alone: Outputs, in_company: Outputs, right: WordLabels) -> Drift:
        """Rows of which the label of any word changes."""
        changed = np.flatnonzero(_tags(alone) != _tags(in_company))
        rows = np.searchsorted(right.bounds, changed, side="right")
        return Drift(len(np.unique(rows)) / len(right), None)

    def difference(self, outputs: Outputs, reference: Outputs) -> None:
        """Logits have no unit."""
        return


def _tags(outputs: Outputs) -> NDArray[np.int64]:
    tags: NDArray[np.int64] = outputs.argmax(axis=1)
    return tags
