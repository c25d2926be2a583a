"""Compares a variant with the PyTorch checkpoint: alone, in company, and on awkward shapes; the gate judges the proof."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.arrangements import InCompany, decisions, in_company, of_rows, sampled
from export.awkward_shapes import told
from export.comparison import Comparison, Drift, UnitScores
from export.hidden_tokens import HiddenTokens
from export.judgement import judge
from export.measurement import Runner
from export.paired_difference import drop_interval
from export.proof import Arrangement, CalibrationShift, ParityProof
from export.rows import Row
from export.scope_proof import ScopeReference, largest, prove_scope
from export.settings import Gate
from export.terms import Terms
from training.outputs import finite

PASSES = 5
"""Over the rows: alone, and in four arrangements."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What the checkpoint says: logits float32 [rows, outputs], or [words, labels], of the validation rows; of awkward shapes all
    outputs."""

    rows: list[Row]
    comparison: Comparison
    right: Any
    """What the rows say, as the comparison reads it."""
    terms: Terms
    metric: str
    """What the comparison's score is called."""
    logits: NDArray[np.float32]
    score: float
    """The comparison's, of the logits."""
    unit_scores: UnitScores
    calibration_error: float | None
    shapes: dict[str, tuple[dict[str, NDArray[np.int64]], NDArray[np.float32]]]
    hidden: HiddenTokens
    scope: ScopeReference | None = None
    """What it says of texts out of scope, where it tells them."""

    @classmethod
    def of(
        cls,
        rows: list[Row],
        comparison: Comparison,
        right: Any,
        terms: Terms,
        metric: str,
        logits: NDArray[np.float32],
        shapes: dict[str, tuple[dict[str, NDArray[np.int64]], NDArray[np.float32]]],
        hidden: HiddenTokens,
        scope: ScopeReference | None = None,
    ) -> Reference:
        """With the scores that every variant is compared with, found once."""
        score, units = comparison.score(logits, right), comparison.unit_scores(logits, right)
        error = comparison.calibration_error(logits, right)
        return cls(rows, comparison, right, terms, metric, logits, score, units, error, shapes, hidden, scope)


@dataclass(frozen=True, slots=True)
class Proven:
    """The proof of a variant, and what is chosen on its own outputs of the validation rows."""

    parity: ParityProof
    logits: NDArray[np.float32]
    """[rows, labels], each row computed alone."""
    threshold: float | None
    """Score above which a text is out of scope."""


def verify(runner: Runner, reference: Reference, precision: str, gate: Gate, tick: Callable[[int], None]) -> Proven:
    """Measures a variant on all validation rows alone, and on at most 1,000 of them in company; judges it by the gate.

    `tick` hears how many of the `PASSES` are done.
    """
    count, labels = len(reference.rows), reference.logits.shape[1]
    outputs = runner.logits(reference.rows, range(count), 1)
    tick(1)
    sample = sampled(count)
    company = []
    for each in in_company(runner, [reference.rows[position] for position in sample]):
        company.append(each)
        tick(1 + len(company))
    alone = outputs[:, :labels]
    difference = np.abs(alone - reference.logits)
    on_shapes = {
        name: np.abs(told(runner.run(batch), batch) - told(expected, batch))
        for name, (batch, expected) in reference.shapes.items()
    }
    scope, threshold = None, None
    if reference.scope is not None:
        scores = [each[:, labels:] for each in on_shapes.values()]
        scope, threshold = prove_scope(runner, reference.scope, outputs[:, -1], sample, company, scores)
    by_shape = {name: largest(each[:, :labels]) for name, each in on_shapes.items()}
    arranged = _arrangements(reference, alone, sample, company)
    compared = reference.comparison
    drifts = [drift.largest for _, drift in arranged if drift.largest is not None]
    proof = ParityProof(
        rows=count,
        max_logit_difference=largest(difference, *(each[:, :labels] for each in on_shapes.values())),
        mean_logit_difference=float(difference.mean()),
        agreement=compared.agreement(alone, reference.logits, reference.right),
        reference_accuracy=reference.score,
        accuracy=compared.score(alone, reference.right),
        drop_interval=_drop_interval(reference, alone),
        arrangements=[each for each, _ in arranged],
        flips_with_batch_mates=max(drift.share for _, drift in arranged),
        leak=reference.hidden.leak(lambda batch: runner.run(batch)[..., :labels]) / spread(reference.logits),
        mean_difference=compared.difference(alone, reference.logits),
        max_drift=max(drifts, default=None),
        calibration=_calibration(reference, alone),
        scope=scope,
        shapes_checked=list(by_shape),
        shape_differences=by_shape,
        passed=True,
        reasons=[],
    )
    reasons = judge(proof, precision, gate, reference.terms, reference.metric)
    parity = proof.model_copy(update={"passed": not reasons, "reasons": reasons})
    return Proven(parity, alone, threshold)


def spread(outputs: NDArray[np.float32]) -> float:
    """The largest less the smallest; 1 where all are equal."""
    return float(np.ptp(outputs)) or 1.0


def _arrangements(
    reference: Reference, alone: NDArray[np.float32], sample: NDArray[np.int64], company: list[InCompany]
) -> list[tuple[Arrangement, Drift]]:
    counts = decisions(reference.rows)
    before = of_rows(alone, counts, sample)
    found = []
    for each in company:
        now = each.outputs[:, : alone.shape[1]]
        drift = reference.comparison.drift(before, now, counts[sample])
        moved = largest(np.abs(before - now))
        arrangement = Arrangement(
            batch=each.batch, order=each.order, rows=len(sample), flips=drift.share, max_logit_drift=moved
        )
        found.append((arrangement, drift))
    return found


def _drop_interval(reference: Reference, alone: NDArray[np.float32]) -> tuple[float, float] | None:
    if not finite(alone):
        return None
    return drop_interval(reference.unit_scores, reference.comparison.unit_scores(alone, reference.right))


def _calibration(reference: Reference, alone: NDArray[np.float32]) -> CalibrationShift | None:
    if reference.calibration_error is None or not finite(alone):
        return None
    error = reference.comparison.calibration_error(alone, reference.right)
    return None if error is None else CalibrationShift(checkpoint=reference.calibration_error, variant=error)
