"""The parity gate of sentence encoders: a variant's vectors must point where the checkpoint's do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.arrangements import InCompany, in_company, sampled
from export.comparison import UnitScores
from export.hidden_tokens import HiddenTokens
from export.judgement import leaked, lost, moved, over
from export.measurement import Runner
from export.paired_difference import drop_interval
from export.proof import Arrangement, ParityProof
from export.rows import Row
from export.scope_proof import largest
from export.settings import EncoderGate
from export.terms import terms_of
from training.embedding.retrieval import units
from training.outputs import finite

Vectors = NDArray[np.float32]
Shapes = dict[str, tuple[dict[str, NDArray[np.int64]], Vectors]]
Quality = Callable[[Vectors], UnitScores]
"""How good vectors of the rows are, 1 at best, on any choice of queries or rows."""


@dataclass(frozen=True, slots=True)
class EncoderReference:
    """What the checkpoint says: vectors of the rows, and of awkward shapes. `quality`: how good vectors of the rows are; None
    where nothing says which of them belong together."""

    rows: list[Row]
    vectors: Vectors
    shapes: Shapes
    hidden: HiddenTokens
    quality: Quality | None
    neighbours: NDArray[np.int64]
    """As `nearest` finds them by the vectors."""
    scores: UnitScores | None
    """The quality of the vectors."""

    @classmethod
    def of(
        cls, rows: list[Row], vectors: Vectors, shapes: Shapes, hidden: HiddenTokens, quality: Quality | None
    ) -> EncoderReference:
        """With what every variant is compared with, found once."""
        scores = None if quality is None else quality(vectors)
        return cls(rows, vectors, shapes, hidden, quality, nearest(vectors), scores)


def verify_encoder(
    runner: Runner, reference: EncoderReference, precision: str, gate: EncoderGate, tick: Callable[[int], None]
) -> ParityProof:
    """Measures a variant on all rows alone, and on at most 1,000 of them in company; judges it by the gate."""
    count = len(reference.rows)
    alone = runner.logits(reference.rows, range(count), 1)
    tick(1)
    sample = sampled(count)
    arranged = []
    for each in in_company(runner, [reference.rows[position] for position in sample]):
        arranged.append(_arrangement(alone[sample], each))
        tick(1 + len(arranged))
    difference = np.abs(alone - reference.vectors)
    on_shapes = {
        name: largest(np.abs(runner.run(batch) - expected)) for name, (batch, expected) in reference.shapes.items()
    }
    cosines = (units(alone) * units(reference.vectors)).sum(axis=1)
    judged = reference.quality is not None and finite(alone)
    scores = reference.quality(alone) if judged and reference.quality is not None else None
    proof = ParityProof(
        rows=count,
        max_logit_difference=float(np.max([difference.max(), *on_shapes.values()])),
        mean_logit_difference=float(difference.mean()),
        agreement=float((nearest(alone) == reference.neighbours).mean()),
        reference_accuracy=_whole(reference.scores),
        accuracy=_whole(scores),
        drop_interval=drop_interval(reference.scores, scores) if reference.scores and scores else None,
        mean_cosine=float(cosines.mean()),
        min_cosine=float(cosines.min()),
        arrangements=arranged,
        flips_with_batch_mates=max(each.flips for each in arranged),
        leak=reference.hidden.leak(runner.run) / (float(np.ptp(reference.vectors)) or 1.0),
        shapes_checked=list(on_shapes),
        shape_differences=on_shapes,
        passed=True,
        reasons=[],
    )
    reasons = judge(proof, precision, gate)
    return proof.model_copy(update={"passed": not reasons, "reasons": reasons})


def _whole(scores: UnitScores | None) -> float | None:
    return None if scores is None else scores.at(np.arange(scores.units))


def _arrangement(alone: Vectors, company: InCompany) -> Arrangement:
    """Neighbours among the same rows, all computed alone or all in company."""
    return Arrangement(
        batch=company.batch,
        order=company.order,
        rows=len(alone),
        flips=float((nearest(alone) != nearest(company.outputs)).mean()),
        max_logit_drift=largest(np.abs(alone - company.outputs)),
    )


def judge(proof: ParityProof, precision: str, gate: EncoderGate) -> list[str]:
    """Why the gate refuses; empty when it does not."""
    if not np.isfinite(proof.max_logit_difference):
        return [f"an element is not finite{over(proof)}"]
    reasons = []
    if precision == "fp32" and proof.max_logit_difference > gate.max_difference:
        reasons.append(
            f"an element differs by {proof.max_logit_difference:.2g}, more than {gate.max_difference:.2g}{over(proof)}"
        )
    if not (proof.mean_cosine or 0.0) >= gate.min_mean_cosine:
        reasons.append(f"the mean cosine {proof.mean_cosine or 0.0:.4f} is below {gate.min_mean_cosine:.4f}")
    if proof.agreement < gate.min_agreement:
        reasons.append(
            f"{100 * proof.agreement:.1f} % keep their nearest neighbour, less than {100 * gate.min_agreement:.1f} %"
        )
    reasons += leaked(proof, gate, gate.max_difference if precision == "fp32" else None)
    return reasons + lost(proof, gate, "the score") + moved(proof, gate, terms_of("embedding"))


def nearest(vectors: Vectors) -> NDArray[np.int64]:
    """Of each row the position of the row of the highest cosine, itself not counted."""
    scaled = units(vectors)
    cosines = scaled @ scaled.T
    np.fill_diagonal(cosines, -np.inf)
    found: NDArray[np.int64] = cosines.argmax(axis=1)
    return found
