"""The parity gate: compares a variant with the PyTorch checkpoint, and refuses it when it loses too much."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from export.comparison import Comparison
from export.manifest import ParityProof, ScopeProof
from export.measurement import Runner
from export.rows import Row, feed
from export.scope_proof import BATCH, ScopeReference, largest, prove_scope, shuffled
from export.settings import Gate
from export.terms import Terms
from training.heads import Classifier
from training.scope.model import ScopedClassifier


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
    shapes: dict[str, tuple[dict[str, NDArray[np.int64]], NDArray[np.float32]]]
    scope: ScopeReference | None = None
    """What it says of texts out of scope, where it tells them."""


def awkward_shapes(
    rows: list[Row], max_length: int, pad: int, vocabulary: int
) -> dict[str, dict[str, NDArray[np.int64]]]:
    """Batches that expose wrong masks and wrong positions; int64 [batch, sequence]."""
    names = {"input_ids", "attention_mask", "token_type_ids"}
    by_length = sorted(rows, key=lambda row: len(row.ids))
    padded = feed([by_length[0], by_length[-1]], names, pad)
    holes = feed(by_length[-4:], names, pad)
    holes["attention_mask"] = holes["attention_mask"].copy()
    holes["attention_mask"][:, 2::3] = 0
    random = np.random.default_rng(0)

    def of_length(length: int) -> dict[str, NDArray[np.int64]]:
        ids = random.integers(0, vocabulary, (2, length))
        return {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}

    return {
        "right padding": padded,
        "mask with holes": holes,
        "length 1": of_length(1),
        f"length {max_length}": of_length(max_length),
    }


def reference_shapes(
    model: Classifier | ScopedClassifier, batches: dict[str, dict[str, NDArray[np.int64]]]
) -> dict[str, tuple[dict[str, NDArray[np.int64]], NDArray[np.float32]]]:
    """The checkpoint's outputs of prepared batches: logits, and behind them the detector's score, where there is one."""

    def outputs(batch: dict[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        found = model(**{key: torch.from_numpy(value) for key, value in batch.items()})
        together: Tensor = torch.cat(found, dim=1) if isinstance(found, tuple) else found
        return cast("NDArray[np.float32]", together.numpy())

    with torch.inference_mode():
        return {name: (batch, outputs(batch)) for name, batch in batches.items()}


@dataclass(frozen=True, slots=True)
class Proven:
    """The proof of a variant, and what is chosen on its own outputs of the validation rows."""

    parity: ParityProof
    logits: NDArray[np.float32]
    """[rows, labels], each row computed alone."""
    threshold: float | None
    """Score above which a text is out of scope."""


def verify(runner: Runner, reference: Reference, precision: str, gate: Gate, tick: Callable[[int], None]) -> Proven:
    """Measures a variant on all validation rows, alone and in shuffled batches of 8, and judges it by the gate.

    `tick` hears how many of the two passes are done.
    """
    count, labels = len(reference.rows), reference.logits.shape[1]
    outputs = runner.logits(reference.rows, range(count), 1)
    tick(1)
    outputs_shuffled = runner.logits(reference.rows, shuffled(count), BATCH)
    tick(2)
    alone = outputs[:, :labels]
    difference = np.abs(alone - reference.logits)
    compared = reference.comparison
    drift = compared.drift(alone, outputs_shuffled[:, :labels], reference.right)
    on_shapes = np.concatenate(
        [
            np.abs(told(runner.run(batch), batch) - told(expected, batch))
            for batch, expected in reference.shapes.values()
        ]
    )
    scope, threshold = None, None
    if reference.scope is not None:
        scope, threshold = prove_scope(
            runner, reference.scope, outputs[:, -1], outputs_shuffled[:, -1], on_shapes[:, labels:]
        )
    proof = ParityProof(
        rows=count,
        max_logit_difference=largest(difference, on_shapes[:, :labels]),
        mean_logit_difference=float(difference.mean()),
        agreement=compared.agreement(alone, reference.logits, reference.right),
        reference_accuracy=reference.score,
        accuracy=compared.score(alone, reference.right),
        flips_with_batch_mates=drift.share,
        mean_difference=compared.difference(alone, reference.logits),
        max_drift=drift.largest,
        scope=scope,
        shapes_checked=list(reference.shapes),
        passed=True,
        reasons=[],
    )
    reasons = judge(proof, precision, gate, reference.terms, reference.metric)
    parity = proof.model_copy(update={"passed": not reasons, "reasons": reasons})
    return Proven(parity, alone, threshold)


def told(outputs: NDArray[np.float32], batch: dict[str, NDArray[np.int64]]) -> NDArray[np.float32]:
    """Of outputs [batch, sequence, labels] those of real tokens, since nobody reads the others; of a text's the same."""
    return outputs[batch["attention_mask"] > 0] if outputs.ndim == 3 else outputs


def judge(proof: ParityProof, precision: str, gate: Gate, terms: Terms, metric: str) -> list[str]:
    """Why the gate refuses; empty when it does not. `metric`: what the accuracies of the proof are called."""
    reasons = []
    if not np.isfinite(proof.max_logit_difference):
        reasons.append("a logit is not finite")
    if precision == "fp32" and proof.max_logit_difference > gate.max_logit_difference:
        reasons.append(
            f"a logit differs by {proof.max_logit_difference:.2g}, more than {gate.max_logit_difference:.2g}"
        )
    least = max(gate.min_agreement, gate.min_half_agreement) if precision == "fp16" else gate.min_agreement
    if proof.agreement < least:
        reasons.append(f"agreement {terms.agreed(proof.agreement)} is below {terms.agreed(least)}")
    if proof.drop > gate.max_drop + 1e-9:
        reasons.append(f"{metric} drops by {proof.drop:.2f} points, more than {gate.max_drop:.2f}")
    if proof.mean_difference is not None and not proof.mean_difference <= gate.max_mean_difference:
        reasons.append(f"mean difference {proof.mean_difference:.3f} is above {gate.max_mean_difference:.3f}")
    if proof.flips_with_batch_mates > gate.max_flips:
        reasons.append(f"{100 * proof.flips_with_batch_mates:.2f} % {terms.drifts}")
    if proof.scope is not None:
        reasons += _judge_scope(proof.scope, precision, gate)
    return reasons


def _judge_scope(proof: ScopeProof, precision: str, gate: Gate) -> list[str]:
    reasons = []
    if not np.isfinite(proof.max_score_difference):
        reasons.append("a score of the detector is not finite")
    if precision == "fp32" and proof.max_score_difference > gate.max_score_difference:
        reasons.append(
            f"a score of the detector differs by {proof.max_score_difference:.2g}, more than {gate.max_score_difference:.2g}"
        )
    if proof.agreement < gate.min_scope_agreement:
        reasons.append(
            f"in and out of scope agree for {100 * proof.agreement:.2f} %, below {100 * gate.min_scope_agreement:.2f} %"
        )
    if proof.flips_with_batch_mates > gate.max_flips:
        reasons.append(f"{100 * proof.flips_with_batch_mates:.2f} % go in or out of scope with batch mates")
    return reasons
