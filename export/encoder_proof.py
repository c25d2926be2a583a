"""The parity gate of sentence encoders: a variant's vectors must point where the checkpoint's do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.manifest import ParityProof
from export.measurement import Runner
from export.rows import Row
from export.scope_proof import largest
from export.settings import EncoderGate
from training.embedding.retrieval import units

BATCH = 8
Vectors = NDArray[np.float32]
Shapes = dict[str, tuple[dict[str, NDArray[np.int64]], Vectors]]


@dataclass(frozen=True, slots=True)
class EncoderReference:
    """What the checkpoint says: vectors of the rows, and of awkward shapes. `quality`: how good vectors of the rows are, 1
    at best; None where nothing says which of them belong together."""

    rows: list[Row]
    vectors: Vectors
    shapes: Shapes
    quality: Callable[[Vectors], float] | None
    neighbours: NDArray[np.int64]
    """As `nearest` finds them by the vectors."""
    score: float | None
    """The quality of the vectors."""

    @classmethod
    def of(
        cls, rows: list[Row], vectors: Vectors, shapes: Shapes, quality: Callable[[Vectors], float] | None
    ) -> EncoderReference:
        """With what every variant is compared with, found once."""
        return cls(rows, vectors, shapes, quality, nearest(vectors), None if quality is None else quality(vectors))


def verify_encoder(
    runner: Runner, reference: EncoderReference, precision: str, gate: EncoderGate, tick: Callable[[int], None]
) -> ParityProof:
    """Measures a variant on all rows, alone and in shuffled batches of 8, and judges it by the gate."""
    count = len(reference.rows)
    alone = runner.logits(reference.rows, range(count), 1)
    tick(1)
    shuffled = runner.logits(reference.rows, np.random.default_rng(0).permutation(count).tolist(), BATCH)
    tick(2)
    difference = np.abs(alone - reference.vectors)
    shapes = [np.abs(runner.run(batch) - expected) for batch, expected in reference.shapes.values()]
    cosines = (units(alone) * units(reference.vectors)).sum(axis=1)
    neighbours = nearest(alone)
    quality = reference.quality if np.isfinite(alone).all() else None
    proof = ParityProof(
        rows=count,
        max_logit_difference=largest(difference, *shapes),
        mean_logit_difference=float(difference.mean()),
        agreement=float((neighbours == reference.neighbours).mean()),
        reference_accuracy=reference.score,
        accuracy=None if quality is None else quality(alone),
        mean_cosine=float(cosines.mean()),
        min_cosine=float(cosines.min()),
        flips_with_batch_mates=float((neighbours != nearest(shuffled)).mean()),
        shapes_checked=list(reference.shapes),
        passed=True,
        reasons=[],
    )
    reasons = judge(proof, precision, gate)
    return proof.model_copy(update={"passed": not reasons, "reasons": reasons})


def judge(proof: ParityProof, precision: str, gate: EncoderGate) -> list[str]:
    """Why the gate refuses; empty when it does not."""
    if not np.isfinite(proof.max_logit_difference):
        return ["an element is not finite"]
    reasons = []
    if precision == "fp32" and proof.max_logit_difference > gate.max_difference:
        reasons.append(f"an element differs by {proof.max_logit_difference:.2g}, more than {gate.max_difference:.2g}")
    if not (proof.mean_cosine or 0.0) >= gate.min_mean_cosine:
        reasons.append(f"the mean cosine {proof.mean_cosine or 0.0:.4f} is below {gate.min_mean_cosine:.4f}")
    if proof.agreement < gate.min_agreement:
        reasons.append(
            f"{100 * proof.agreement:.1f} % keep their nearest neighbour, less than {100 * gate.min_agreement:.1f} %"
        )
    if proof.drop > gate.max_drop + 1e-9:
        reasons.append(f"the score drops by {proof.drop:.2f} points, more than {gate.max_drop:.2f}")
    if proof.flips_with_batch_mates > gate.max_flips:
        reasons.append(f"{100 * proof.flips_with_batch_mates:.2f} % of the neighbours flip with batch mates")
    return reasons


def nearest(vectors: Vectors) -> NDArray[np.int64]:
    """Of each row the position of the row of the highest cosine, itself not counted."""
    scaled = units(vectors)
    cosines = scaled @ scaled.T
    np.fill_diagonal(cosines, -np.inf)
    found: NDArray[np.int64] = cosines.argmax(axis=1)
    return found
