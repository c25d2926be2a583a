"""Hard negatives: texts that an encoder takes for the second one of a pair, although they are not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.dataset import Example
from training.embedding.relations import partners_of
from training.embedding.retrieval import units

MOST = 0.95
"""Of the cosine of the pair itself: what is nearer is likely to be right, too (Moreira et al. 2024, "NV-Retriever")."""


def hard_negatives(examples: Sequence[Example], vectors: NDArray[np.float32], count: int) -> list[list[str]]:
    """For each row up to `count` second texts of other rows, nearest first, that stand beside its first text in no pair.

    Of vectors [2 x rows, width]: all first texts, then all second ones. The first text itself is never one of them.
    """
    known = units(vectors)
    first, second = known[: len(examples)], known[len(examples) :]
    places: dict[str, int] = {}
    partners = partners_of(examples)
    for row, example in enumerate(examples):
        assert example.text_pair is not None
        places.setdefault(example.text_pair, row)
    texts = list(places)
    candidates = second[list(places.values())]
    found: list[list[str]] = []
    for row, example in enumerate(examples):
        near = candidates @ first[row]
        most = MOST * float(second[row] @ first[row])
        right = {example.text, *partners[example.text]}
        hard = (texts[i] for i in np.argsort(-near, kind="stable") if near[i] <= most and texts[i] not in right)
        found.append([text for text, _ in zip(hard, range(count), strict=False)])
    return found


def given_negatives(examples: Sequence[Example]) -> list[list[str]]:
    """Those that stand in the rows."""
    return [[] if example.negative is None else [example.negative] for example in examples]
