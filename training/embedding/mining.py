"""Hard negatives: texts that an encoder takes for the second one of a pair, although they are not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from training.dataset import Example
from training.embedding.relations import partners_of
from training.embedding.retrieval import highest, slices, units
from training.records import read_record, write_record

MOST = 0.95
"""Of the cosine of the pair itself: what is nearer is likely to be right, too (Moreira et al. 2024, "NV-Retriever")."""


def hard_negatives(examples: Sequence[Example], vectors: NDArray[np.float32], count: int) -> list[list[str]]:
    """For each row up to `count` second texts of other rows, nearest first, that stand beside its first text in no pair.

    Of vectors [2 x rows, width]: all first texts, then all second ones. The first text itself is never one of them.
    """
    known = units(vectors)
    first, second = known[: len(examples)], known[len(examples) :]
    rows: dict[str, int] = {}
    partners = partners_of(examples)
    for row, example in enumerate(examples):
        assert example.text_pair is not None
        rows.setdefault(example.text_pair, row)
    texts, candidates = list(rows), second[list(rows.values())]
    places = {text: place for place, text in enumerate(texts)}
    most = MOST * (first * second).sum(axis=1, keepdims=True)
    found: list[list[str]] = []
    for some in slices(len(examples)):
        near = first[some] @ candidates.T
        near[near > most[some]] = -np.inf
        for example, row in zip(examples[some], near, strict=True):
            row[[places[text] for text in (example.text, *partners[example.text]) if text in places]] = -np.inf
        best = highest(near, count)
        found += [[texts[i] for i in order if row[i] > -np.inf] for order, row in zip(best, near, strict=True)]
    return found


class Mined(BaseModel):
    """The negatives of the training rows of a data set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data_fingerprint: str
    negatives: list[list[str]]


def mined_once(path: Path, data_fingerprint: str, mine: Callable[[], list[list[str]]]) -> list[list[str]]:
    """What `mine` finds, or has found in an attempt that was cut off.

    Batches rest on it, and another number of threads is enough for other last bits of a vector.
    """
    kept = read_record(path, Mined)
    if kept is None or kept.data_fingerprint != data_fingerprint:
        kept = Mined(data_fingerprint=data_fingerprint, negatives=mine())
        write_record(path, kept)
    return kept.negatives


def given_negatives(examples: Sequence[Example]) -> list[list[str]]:
    """Those that stand in the rows."""
    return [[] if example.negative is None else [example.negative] for example in examples]
