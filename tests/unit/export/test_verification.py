from __future__ import annotations

import numpy as np
import pytest

from export.golden import Golden, GoldenVariant, tolerance
from export.judgement import judge
from export.proof import Arrangement, CalibrationShift, ParityProof, ScopeProof
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


BY_LENGTH = Arrangement(batch=4, order="by length", rows=100, flips=0.0, max_logit_drift=0.5)


@pytest.mark.parametrize(
    ("change", "precision", "part"),
    [
        (
            {"max_logit_difference": 0.3, "shape_differences": {"length 1": 1e-6, "left padding": 0.3}},
            "fp32",
            "a logit differs by 0.3, more than 0.0001, over left padding",
        ),
        (
            {"max_logit_difference": float("nan"), "shape_differences": {"length 512": float("nan")}},
            "int8",
            "a logit is not finite, over length 512",
        ),
        ({"leak": 0.06}, "int8", "tokens that the mask hides move outputs by 6 % of their spread, more than 1 %"),
        ({"leak": 0.001}, "fp32", "by 0.1 % of their spread, more than 0.01 %"),
        (
            {"calibration": CalibrationShift(checkpoint=0.02, variant=0.05)},
            "int8",
            "the calibration error grows by 3.0 points, more than 2.0",
        ),
        (
            {
                "flips_with_batch_mates": 0.01,
                "arrangements": [BY_LENGTH, BY_LENGTH.model_copy(update={"order": "shuffled", "flips": 0.01})],
            },
            "int8",
            "1.00 % of the labels flip with batch mates (batches of 4, shuffled), more than 0.20 %",
        ),
    ],
)
def test_the_reason_says_where(change: dict[str, object], precision: str, part: str) -> None:
    (reason,) = judged(GOOD.model_copy(update=change), precision)
    assert part in reason


def test_what_moves_little_is_no_reason() -> None:
    little = {
        "leak": 0.005,
        "calibration": CalibrationShift(checkpoint=0.05, variant=0.01),
        "arrangements": [BY_LENGTH],
        "max_logit_difference": 0.7,
    }
    assert judged(GOOD.model_copy(update=little), "int8") == []


@pytest.mark.parametrize(
    ("interval", "strict", "refused"),
    [((-0.2, 0.9), True, False), ((0.1, 1.4), True, True), ((0.1, 1.4), False, False), (None, True, True)],
)
def test_a_strict_budget_holds_for_the_whole_interval(
    interval: tuple[float, float] | None, strict: bool, refused: bool
) -> None:
    proof = GOOD.model_copy(update={"accuracy": 0.925, "drop_interval": interval})
    gate = Gate(strict_drop=strict)
    reasons = judge(proof, "int8", gate, terms_of("single_label_classification"), "accuracy")
    assert bool(reasons) is refused
    assert all("95 % interval" in reason or "cannot be said" in reason for reason in reasons)


def test_a_proof_of_before_is_read_as_it_was() -> None:
    old = {name: value for name, value in GOOD.model_dump().items() if name in OLD_FIELDS}
    proof = ParityProof.model_validate(old)
    assert (proof.arrangements, proof.drop_interval, proof.calibration, proof.leak) == ([], None, None, None)
    assert proof.worst_arrangement is None
    assert judged(proof.model_copy(update={"flips_with_batch_mates": 0.01}), "int8") == [
        "1.00 % of the labels flip with batch mates, more than 0.20 %"
    ]


OLD_FIELDS = {
    "rows",
    "max_logit_difference",
    "mean_logit_difference",
    "agreement",
    "reference_accuracy",
    "accuracy",
    "flips_with_batch_mates",
    "shapes_checked",
    "passed",
    "reasons",
}


def test_a_drop_just_above_the_budget_is_told_from_it() -> None:
    proof = GOOD.model_copy(update={"reference_accuracy": 927 / 997, "accuracy": 922 / 997})
    gate = Gate(max_drop=0.5)
    assert judge(proof, "int8", gate, terms_of(""), "accuracy") == ["accuracy drops by 0.5015 points, more than 0.5000"]


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
