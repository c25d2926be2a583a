from __future__ import annotations

import numpy as np
import pytest

from export.golden import Golden, GoldenVariant, tolerance
from export.judgement import judge
from export.proof import ParityProof, ScopeProof
from export.settings import Gate
from export.terms import terms_of
from training.headlines import headline

GOOD = ParityProof(
    rows=100,
    max_logit_difference=1e-6,
    mean_logit_difference=1e-7,
    agreement=1.0,
    reference_accuracy=0.93,
    accuracy=0.93,
    flips_with_batch_mates=0.0,
    shapes_checked=["length 1"],
    passed=True,
    reasons=[],
)


def judged(proof: ParityProof, precision: str, task: str = "single_label_classification") -> list[str]:
    """By the gate as it is, in the words of a task."""
    return judge(proof, precision, Gate(), terms_of(task), headline(task)[1])


def test_an_exact_variant_passes() -> None:
    assert judged(GOOD, "fp32") == []


@pytest.mark.parametrize(
    ("change", "precision", "part"),
    [
        ({"max_logit_difference": 2e-4}, "fp32", "a logit differs by 0.0002"),
        ({"max_logit_difference": float("nan")}, "int8", "not finite"),
        ({"agreement": 0.979}, "int8", "agreement 97.90 % is below 98.00 %"),
        ({"agreement": 0.99}, "fp16", "agreement 99.00 % is below 99.50 %"),
        ({"accuracy": 0.919}, "int8", "drops by 1.10 points"),
        ({"flips_with_batch_mates": 0.005}, "int8", "0.50 % of the labels flip"),
    ],
)
def test_a_loss_beyond_the_budget_is_refused_with_its_figure(
    change: dict[str, float], precision: str, part: str
) -> None:
    assert any(part in reason for reason in judged(GOOD.model_copy(update=change), precision))


TOLD = ScopeProof(rows=150, agreement=1.0, flips_with_batch_mates=0.0, max_score_difference=1e-5)


@pytest.mark.parametrize(
    ("change", "precision", "part"),
    [
        ({"max_score_difference": float("inf")}, "int8", "a score of the detector is not finite"),
        ({"max_score_difference": 2e-3}, "fp32", "a score of the detector differs by 0.002"),
        ({"agreement": 0.96}, "int8", "in and out of scope agree for 96.00 %, below 97.00 %"),
        ({"flips_with_batch_mates": 0.01}, "int8", "1.00 % go in or out of scope with batch mates"),
    ],
)
def test_a_variant_that_tells_other_texts_out_of_scope_is_refused(
    change: dict[str, float], precision: str, part: str
) -> None:
    assert judged(GOOD.model_copy(update={"scope": TOLD}), precision) == []
    (reason,) = judged(GOOD.model_copy(update={"scope": TOLD.model_copy(update=change)}), precision)
    assert part in reason


def test_a_drop_of_exactly_the_budget_passes() -> None:
    assert judged(GOOD.model_copy(update={"accuracy": 0.92}), "int8") == []


def test_golden_answers_allow_rounding_and_nothing_else() -> None:
    logits = np.array([[1.0, -2.0]], np.float32)
    variant = GoldenVariant(tolerance=tolerance("fp32", logits), logits=logits.tolist())
    golden = Golden(input_ids=[[1]], token_type_ids=[[0]], variants={"fp32": variant})
    assert golden.deviation("fp32", logits + 1e-4) is None
    assert "off by" in (golden.deviation("fp32", logits + 0.1) or "")
    assert "1 outputs for a row" in (golden.deviation("fp32", logits[:, :1]) or "")
    assert "finite" in (golden.deviation("fp32", logits * np.nan) or "")
