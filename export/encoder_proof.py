"""The parity gate of sentence encoders: a variant's vectors must point where the checkpoint's do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from export.manifest import ParityProof
from export.measurement import Runner
from export.rows import Row

BATCH = 8
Vectors = NDArray[np.float32]
Shapes = dict[str, tuple[dict[str, NDArray[np.int64]], Vectors]]


class EncoderGate(BaseModel):
    """What a variant may lose before it is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_difference: float = Field(default=1e-4, gt=0)
    """Of float32 variants, of any element, over padding, masks with holes, the shortest and the longest input."""
    min_mean_cosine: float = Field(default=0.99, ge=0, le=1)
    min_agreement: float = Field(default=0.9, ge=0, le=1)
    """Share of texts whose nearest neighbour among the others is the checkpoint's."""
    max_flips: float = Field(default=0.002, ge=0, le=1)
    """Share of texts whose nearest neighbour changes with the company they are computed in."""


@dataclass(frozen=True, slots=True)
class EncoderReference:
    """What the checkpoint says: vectors of the rows, and of awkward shapes."""

    rows: list[Row]
    vectors: Vectors
    shapes: Shapes


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
    shapes = [float(np.abs(runner.run(batch) - expected).max()) for batch, expected in reference.shapes.values()]
    cosines = (units(alone) * units(reference.vectors)).sum(axis=1)
    neighbours = nearest(alone)
    proof = ParityProof(
        rows=count,
        max_logit_difference=max(float(difference.max()), *shapes),
        mean_logit_difference=float(difference.mean()),
        agreement=float((neighbours == nearest(reference.vectors)).mean()),
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
    reasons = []
    if not np.isfinite(proof.max_logit_difference):
        reasons.append("an element is not finite")
    if precision == "fp32" and proof.max_logit_difference > gate.max_difference:
        reasons.append(f"an element differs by {proof.max_logit_difference:.2g}, more than {gate.max_difference:.2g}")
    if not (proof.mean_cosine or 0.0) >= gate.min_mean_cosine:
        reasons.append(f"the mean cosine {proof.mean_cosine or 0.0:.4f} is below {gate.min_mean_cosine:.4f}")
    if proof.agreement < gate.min_agreement:
        reasons.append(
            f"{100 * proof.agreement:.1f} % keep their nearest neighbour, less than {100 * gate.min_agreement:.1f} %"
        )
    if proof.flips_with_batch_mates > gate.max_flips:
        reasons.append(f"{100 * proof.flips_with_batch_mates:.2f} % of the neighbours flip with batch mates")
    return reasons


def units(vectors: Vectors) -> Vectors:
    """Scaled to length 1 (L2), row by row."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Vectors = vectors / np.maximum(lengths, np.float32(1e-12))
    return scaled


def nearest(vectors: Vectors) -> NDArray[np.int64]:
    """Of each row the position of the row of the highest cosine, itself not counted."""
    scaled = units(vectors)
    cosines = scaled @ scaled.T
    np.fill_diagonal(cosines, -np.inf)
    found: NDArray[np.int64] = cosines.argmax(axis=1)
    return found
