"""Whether a variant tells texts out of scope as the checkpoint does.

Quantization moves scores, so a threshold that keeps 98 % of the texts in scope for float32 keeps another share for int8. Each
variant has a threshold of its own, chosen on its own scores at the same operating point.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.manifest import ScopeProof
from export.measurement import Runner
from export.rows import Row
from training.scope.evidence import threshold_at

BATCH = 8


@dataclass(frozen=True, slots=True)
class ScopeReference:
    """What the checkpoint says: scores float32 [rows] of the validation rows in scope, and of those out of it, if any."""

    acceptance: float
    inside: NDArray[np.float32]
    rows: list[Row]
    outside: NDArray[np.float32]


def shuffled(count: int) -> list[int]:
    """An order in which rows meet others than their neighbours; always the same."""
    order: list[int] = np.random.default_rng(0).permutation(count).tolist()
    return order


def prove_scope(
    runner: Runner,
    reference: ScopeReference,
    inside: NDArray[np.float32],
    inside_in_batches: NDArray[np.float32],
    on_shapes: NDArray[np.float32],
) -> tuple[ScopeProof, float]:
    """The proof and the variant's threshold; of its scores [rows] of the rows in scope, alone and in shuffled batches, and how
    far those of awkward shapes are from the checkpoint's."""
    count = len(reference.rows)
    outside = outside_in_batches = np.empty(0, np.float32)
    if count:
        outside = runner.logits(reference.rows, range(count), 1)[:, -1]
        outside_in_batches = runner.logits(reference.rows, shuffled(count), BATCH)[:, -1]
    threshold = threshold_at(inside, reference.acceptance)
    alone = np.concatenate([inside, outside])
    expected = np.concatenate([reference.inside, reference.outside])
    made = alone > threshold
    proof = ScopeProof(
        rows=len(alone),
        agreement=_alike(made, expected > threshold_at(reference.inside, reference.acceptance)),
        flips_with_batch_mates=1 - _alike(made, np.concatenate([inside_in_batches, outside_in_batches]) > threshold),
        max_score_difference=largest(np.abs(alone - expected), on_shapes),
    )
    return proof, threshold


def largest(*differences: NDArray[np.float32]) -> float:
    """Of all elements; not a number where one is none, which `max` may leave out."""
    return float(np.max([each.max() for each in differences]))


def _alike(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one == other).mean())
