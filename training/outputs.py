"""What a model says of rows that were computed in batches, put back into their order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from training.failures import InvalidSettings

Logits = NDArray[np.float32]
"""[decisions, labels]: a decision for each row, or where words are labelled for each word, row by row."""


def arranged(parts: Iterable[tuple[Sequence[int], NDArray[np.float32]]], reads: Sequence[list[int] | None]) -> Logits:
    """Logits of all decisions in the order of the rows.

    Each part holds positions of rows and their outputs, [rows, labels] or [rows, tokens, labels]; of tokens those that `reads`
    names for the row are taken.
    """
    found: list[NDArray[np.float32]] = [np.empty((0, 0), np.float32)] * len(reads)
    for positions, values in parts:
        for position, value in zip(positions, values, strict=True):
            tokens = reads[position]
            found[position] = value[np.newaxis] if tokens is None else value[tokens]
    return np.concatenate(found)


def finite(outputs: Logits) -> bool:
    """Whether all of them are numbers that can be compared."""
    return bool(np.isfinite(outputs).all())


def require_finite(outputs: Iterable[Logits]) -> None:
    """Raises InvalidSettings where some are not: the training diverged, and there is nothing to judge."""
    if not all(map(finite, outputs)):
        raise InvalidSettings("the training diverged: the model's outputs are not finite; lower learning_rate")
