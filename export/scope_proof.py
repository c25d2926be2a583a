"""Whether a variant tells texts out of scope as the checkpoint does.

Quantization moves scores, so a threshold that keeps 98 % of the texts in scope for float32 keeps another share for int8. Each
variant has a threshold of its own, chosen on its own scores at the same operating point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.arrangements import InCompany, in_company, sampled
from export.measurement import Runner
from export.proof import ScopeProof
from export.rows import Row
from training.scope.evidence import threshold_at


@dataclass(frozen=True, slots=True)
class ScopeReference:
    """What the checkpoint says: scores float32 [rows] of the validation rows in scope, and of those out of it, if any."""

    acceptance: float
    inside: NDArray[np.float32]
    rows: list[Row]
    outside: NDArray[np.float32]


def prove_scope(
    runner: Runner,
    reference: ScopeReference,
    inside: NDArray[np.float32],
    sample: NDArray[np.int64],
    company: Sequence[InCompany],
    on_shapes: Sequence[NDArray[np.float32]],
) -> tuple[ScopeProof, float]:
    """The proof and the variant's threshold; of its scores `inside` [rows] of the rows in scope, each alone, of the outputs of a
    `sample` of them in company, and how far its scores of awkward shapes are from the checkpoint's."""
    count = len(reference.rows)
    outside = runner.logits(reference.rows, range(count), 1)[:, -1] if count else np.empty(0, np.float32)
    threshold = threshold_at(inside, reference.acceptance)
    alone = np.concatenate([inside, outside])
    expected = np.concatenate([reference.inside, reference.outside])
    made = alone > threshold
    proof = ScopeProof(
        rows=len(alone),
        agreement=_alike(made, expected > threshold_at(reference.inside, reference.acceptance)),
        flips_with_batch_mates=_flips(runner, reference, inside[sample], company, outside, threshold),
        max_score_difference=largest(np.abs(alone - expected), *on_shapes),
    )
    return proof, threshold


def _flips(
    runner: Runner,
    reference: ScopeReference,
    inside: NDArray[np.float32],
    company: Sequence[InCompany],
    outside: NDArray[np.float32],
    threshold: float,
) -> float:
    """The share of the rows, in scope and out of it, that are told otherwise in the worst arrangement."""
    chosen = sampled(len(outside))
    rows = [reference.rows[position] for position in chosen]
    others = [each.outputs[:, -1] for each in in_company(runner, rows)] if rows else [outside] * len(company)
    made = np.concatenate([inside, outside[chosen]]) > threshold
    told = [
        np.concatenate([each.outputs[:, -1], scores]) > threshold for each, scores in zip(company, others, strict=True)
    ]
    return max(1 - _alike(made, each) for each in told)


def largest(*differences: NDArray[np.float32]) -> float:
    """Of all elements; not a number where one is none, which `max` may leave out."""
    return float(np.max([each.max() for each in differences]))


def _alike(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one == other).mean())
