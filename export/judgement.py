"""The gate of classifiers, models of numbers and rankings: whether a variant's proof keeps within the budget."""

from __future__ import annotations

import numpy as np

from export.proof import ParityProof, ScopeProof
from export.settings import Budget, Gate
from export.terms import Terms


def judge(proof: ParityProof, precision: str, gate: Gate, terms: Terms, metric: str) -> list[str]:
    """Why the gate refuses; empty when it does not. `metric`: what the accuracies of the proof are called."""
    reasons = []
    if not np.isfinite(proof.max_logit_difference):
        reasons.append(f"a logit is not finite{over(proof)}")
    if precision == "fp32" and proof.max_logit_difference > gate.max_logit_difference:
        reasons.append(
            f"a logit differs by {proof.max_logit_difference:.2g}, more than {gate.max_logit_difference:.2g}{over(proof)}"
        )
    least = max(gate.min_agreement, gate.min_half_agreement) if precision == "fp16" else gate.min_agreement
    if proof.agreement < least:
        reasons.append(f"agreement {terms.agreed(proof.agreement)} is below {terms.agreed(least)}")
    reasons += lost(proof, gate, metric)
    if proof.mean_difference is not None and not proof.mean_difference <= gate.max_mean_difference:
        reasons.append(f"mean difference {proof.mean_difference:.3f} is above {gate.max_mean_difference:.3f}")
    if proof.calibration is not None and proof.calibration.shift > gate.max_calibration_shift:
        reasons.append(
            f"the calibration error grows by {100 * proof.calibration.shift:.1f} points, more than "
            f"{100 * gate.max_calibration_shift:.1f}"
        )
    reasons += leaked(proof, gate, gate.max_logit_difference if precision == "fp32" else None)
    reasons += moved(proof, gate, terms)
    if proof.scope is not None:
        reasons += _judge_scope(proof.scope, precision, gate)
    return reasons


def lost(proof: ParityProof, gate: Budget, metric: str) -> list[str]:
    """Whether too much of the metric is lost: as measured, or, where the gate is strict, at the upper end of the interval."""
    if proof.drop > gate.max_drop + 1e-9:
        return [f"{metric} drops by {_above(proof.drop, gate.max_drop)}"]
    if not gate.strict_drop or proof.reference_accuracy is None:
        return []
    if proof.drop_interval is None:
        return [f"how sure the drop of {metric} is cannot be said, which --strict-drop asks for"]
    if proof.drop_interval[1] > gate.max_drop + 1e-9:
        return [
            f"{metric} drops by {proof.drop:.2f} points, and the 95 % interval goes up to "
            f"{_above(proof.drop_interval[1], gate.max_drop)}; compare on more validation rows, or do without --strict-drop"
        ]
    return []


def _above(points: float, limit: float) -> str:
    """With as many decimals as tell the two apart."""
    digits = 2 if f"{points:.2f}" != f"{limit:.2f}" else 4
    return f"{points:.{digits}f} points, more than {limit:.{digits}f}"


def moved(proof: ParityProof, gate: Budget, terms: Terms) -> list[str]:
    """Whether answers change with the company that texts are computed in."""
    reasons = []
    if np.isfinite(proof.mean_logit_difference):
        spoiled = [each for each in proof.arrangements if not np.isfinite(each.max_logit_drift)]
        reasons += [f"an output is not finite in {each}, and is alone" for each in spoiled[:1]]
    if proof.flips_with_batch_mates > gate.max_flips:
        worst = proof.worst_arrangement
        where = "" if worst is None else f" ({worst})"
        reasons.append(
            f"{100 * proof.flips_with_batch_mates:.2f} % {terms.drifts}{where}, more than {100 * gate.max_flips:.2f} %"
        )
    return reasons


def leaked(proof: ParityProof, gate: Budget, exactly: float | None) -> list[str]:
    """Whether answers depend on what the mask hides; `exactly`: the stricter limit of a precision that does not round."""
    most = gate.max_leak if exactly is None else min(gate.max_leak, exactly)
    if proof.leak is None or proof.leak <= most or not np.isfinite(proof.max_logit_difference):
        return []
    return [
        f"tokens that the mask hides move outputs by {100 * proof.leak:.2g} % of their spread, more than {100 * most:.2g} %"
    ]


def over(proof: ParityProof) -> str:
    """Where the largest difference was seen, if it was among the shapes alone."""
    if not np.isfinite(proof.mean_logit_difference):
        return ""
    for shape, difference in proof.shape_differences.items():
        if difference == proof.max_logit_difference or not np.isfinite(difference):
            return f", over {shape}"
    return ""


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
