"""How well entities are found: an entity is right if its first and last character and its type are.

Precision, recall and F1 come from seqeval in strict mode. It reads tags, not stretches; so each text is cut wherever an entity
begins or ends, and each piece gets a tag. Counts by text, for intervals and for the score of an epoch, are our own and agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.dataset import Entity
from training.intervals import Interval, Positions, bootstrap

Found = Sequence[Sequence[Entity]]
"""The entities of each text, in order and without overlaps."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Entities by text and type, each int64 [texts, types]."""

    right: NDArray[np.int64]
    given: NDArray[np.int64]
    said: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class StrictScores:
    """Precision, recall and F1 in [0, 1], over all entities and of each type, and how many entities there are."""

    micro: tuple[float, float, float]
    by_type: list[tuple[float, float, float, int]]


def counts(given: Found, said: Found, types: Sequence[str]) -> Counts:
    """How many entities of each type are given, said, and both."""
    index = {kind: position for position, kind in enumerate(types)}
    found = np.zeros((3, len(given), len(types)), np.int64)
    for row, (these, those) in enumerate(zip(given, said, strict=True)):
        for place, entities in enumerate((set(these) & set(those), these, those)):
            for entity in entities:
                found[place, row, index[entity.label]] += 1
    return Counts(*found)


def micro_f1(given: Found, said: Found) -> float:
    """F1 over all entities, in [0, 1]; 0 where there are none."""
    right = sum(len(set(these) & set(those)) for these, those in zip(given, said, strict=True))
    return 2 * right / max(1, sum(map(len, given)) + sum(map(len, said)))


def strict_scores(given: Found, said: Found, types: Sequence[str]) -> StrictScores:
    """Those of seqeval; `types` in alphabetical order."""
    from seqeval.metrics.v1 import precision_recall_fscore_support
    from seqeval.scheme import IOB2

    right_tags, said_tags = [], []
    for these, those in zip(given, said, strict=True):
        cuts = sorted({0, 1, *(edge for entity in (*these, *those) for edge in (entity.start, entity.end))})
        right_tags.append(_pieces(these, cuts))
        said_tags.append(_pieces(those, cuts))
    options = {"scheme": IOB2, "zero_division": 0}
    micro = precision_recall_fscore_support(right_tags, said_tags, average="micro", **options)
    each = precision_recall_fscore_support(right_tags, said_tags, average=None, **options)
    known = sorted({entity.label for entities in (*given, *said) for entity in entities})
    rows = dict(zip(known, zip(*each, strict=True), strict=True))
    none = (0.0, 0.0, 0.0, 0)
    by_type = [rows.get(kind, none) for kind in types]
    return StrictScores(
        (float(micro[0]), float(micro[1]), float(micro[2])),
        [(float(p), float(r), float(f), int(n)) for p, r, f, n in by_type],
    )


def _pieces(entities: Sequence[Entity], cuts: Sequence[int]) -> list[str]:
    """The BIO tag of each piece between two cuts."""
    tags = ["O"] * (len(cuts) - 1)
    index = {cut: position for position, cut in enumerate(cuts)}
    for entity in entities:
        begin, end = index[entity.start], index[entity.end]
        tags[begin:end] = [f"B-{entity.label}", *[f"I-{entity.label}"] * (end - begin - 1)]
    return tags


def uncertainty(found: Counts, types: Sequence[str]) -> tuple[dict[str, Interval], list[Interval]]:
    """95 % intervals over the texts: of F1, precision and recall of all entities and of the mean F1; and of each type's F1."""

    def scores(positions: Positions) -> dict[str, float]:
        right, given, said = (part[positions].sum(axis=0) for part in (found.right, found.given, found.said))
        f1 = 2 * right / np.maximum(1, given + said)
        return {
            "micro_f1": float(2 * right.sum() / max(1, given.sum() + said.sum())),
            "precision": float(right.sum() / max(1, said.sum())),
            "recall": float(right.sum() / max(1, given.sum())),
            "macro_f1": float(f1[given > 0].mean()) if (given > 0).any() else 0.0,
            **{f"type {kind}": float(value) for kind, value in zip(types, f1, strict=True)},
        }

    intervals = bootstrap(len(found.right), scores)
    return intervals, [intervals.pop(f"type {kind}") for kind in types]


def confusion(given: Found, said: Found, types: Sequence[str]) -> NDArray[np.int64]:
    """How often an entity of type i was said to be of type j, int64 [types + 1, types + 1]; the last stands for no entity.

    A given entity meets the said one that shares most characters with it, also where their edges differ.
    """
    index = {kind: position for position, kind in enumerate(types)}
    nothing = len(types)
    matrix = np.zeros((nothing + 1, nothing + 1), np.int64)
    for these, those in zip(given, said, strict=True):
        met = set()
        for entity in these:
            other = max(those, key=lambda each: shared(entity, each), default=None)
            if other is None or not shared(entity, other):
                matrix[index[entity.label], nothing] += 1
                continue
            met.add(other)
            matrix[index[entity.label], index[other.label]] += 1
        for other in those:
            if other not in met and not any(shared(entity, other) for entity in these):
                matrix[nothing, index[other.label]] += 1
    return matrix


def shared(one: Entity, other: Entity) -> int:
    """Characters that both cover."""
    return max(0, min(one.end, other.end) - max(one.start, other.start))
