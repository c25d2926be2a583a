"""Between entities and the BIO label of each word, both ways, as Tag reads labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from training.dataset import Entity, Word
from training.tagging.schemes import OUTSIDE, parts


def bio_labels(types: Iterable[str]) -> list[str]:
    """Labels of a model's outputs: O, then B- and I- of each type in its order."""
    return [OUTSIDE, *(f"{prefix}-{kind}" for kind in sorted(set(types)) for prefix in "BI")]


def types_of(labels: Sequence[str]) -> list[str]:
    """The types of such labels."""
    return sorted({kind for _, kind in map(parts, labels) if kind})


def word_labels(words: Sequence[Word], entities: Sequence[Entity], labels: Sequence[str]) -> NDArray[np.int64]:
    """The index of each word's label, int64 [words]. A word that an entity shares with others, or only in part, is its own.

    Both in the order of the text and without overlaps.
    """
    index = {label: position for position, label in enumerate(labels)}
    found = np.full(len(words), index[OUTSIDE], np.int64)
    at = 0
    for entity in entities:
        while at < len(words) and words[at].end <= entity.start:
            at += 1
        prefix = "B"
        while at < len(words) and words[at].start < entity.end:
            found[at] = index[f"{prefix}-{entity.label}"]
            prefix = "I"
            at += 1
    return found


def entities_of(words: Sequence[Word], tags: Sequence[str]) -> Iterator[tuple[Entity, int, int]]:
    """The entities that the words' BIO labels mean, each with its words [begin, end).

    B- begins an entity, I- of the same type goes on with it, and begins one where there is none: as in Tag.
    """
    begin: int | None = None
    kind = ""
    for position, tag in enumerate([*tags, OUTSIDE]):
        prefix, current = parts(tag)
        if begin is not None and (prefix != "I" or current != kind):
            yield Entity(words[begin].start, words[position - 1].end, kind), begin, position
            begin = None
        if current and begin is None:
            begin, kind = position, current
