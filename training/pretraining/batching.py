"""How pieces of different length fill batches of a bounded number of tokens."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Batch = list[int]
"""Pieces, by number, a row each."""
POOL = 50
"""Batches are formed inside shuffled pools of this many: little padding, still new neighbours in each pass."""


def grouped(lengths: NDArray[np.int64], batch_tokens: int, generator: np.random.Generator) -> list[Batch]:
    """Deals all pieces, given their lengths int64 [pieces], into the batches of one pass; each piece once.

    Pieces of about the same length share a batch, as many as `batch_tokens` hold when padded.
    """
    order = generator.permutation(len(lengths))
    pool = np.cumsum(lengths[order]) // (POOL * batch_tokens)
    edges = [0, *(np.flatnonzero(np.diff(pool)) + 1).tolist(), len(order)]
    batches: list[Batch] = []
    for begin, end in pairwise(edges):
        ordered = sorted(order[begin:end].tolist(), key=lambda piece: -lengths[piece])
        while ordered:
            rows = max(1, batch_tokens // int(lengths[ordered[0]]))
            batches.append(ordered[:rows])
            del ordered[:rows]
    return [batches[position] for position in generator.permutation(len(batches))]
