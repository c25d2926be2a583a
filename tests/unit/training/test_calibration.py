from __future__ import annotations

import numpy as np
import pytest

from training.calibration import expected_calibration_error, fit_temperature, reliability, softmax
from training.evaluation import evaluate


def sampled(temperature: float, rows: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose labels are drawn from softmax(logits / temperature)."""
    random = np.random.default_rng(0)
    logits = random.normal(0, 3, (rows, 5)).astype(np.float32)
    cumulative = softmax(logits / temperature).cumsum(axis=1)
    truth = (random.random((rows, 1)) > cumulative).sum(axis=1)
    return logits, truth.clip(0, 4)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_made_the_labels_is_found(temperature: float) -> None:
    assert fit_temperature(*sampled(temperature)) == pytest.approx(temperature, rel=0.1)


def test_scaling_lowers_the_calibration_error() -> None:
    logits, truth = sampled(3.0)
    before = expected_calibration_error(reliability(softmax(logits), truth))
    after = expected_calibration_error(reliability(softmax(logits / fit_temperature(logits, truth)), truth))
    assert after < 0.03 < before


def test_softmax_survives_huge_and_very_negative_logits() -> None:
    rows = softmax(np.array([[1e4, 0.0], [-1e4, -1e4 - 1]], np.float32))
    assert np.isfinite(rows).all()
    assert rows.sum(axis=1) == pytest.approx([1.0, 1.0])


def test_confident_and_always_wrong_has_the_error_one() -> None:
    probabilities = np.array([[1.0, 0.0]] * 4)
    bins = reliability(probabilities, np.ones(4, np.int64))
    assert bins == [(1.0, 0.0, 1.0)]
    assert expected_calibration_error(bins) == pytest.approx(1.0)


def test_scores_of_a_small_confusion() -> None:
    logits = np.array([[2, 0], [2, 0], [0, 2], [2, 0]], np.float32)
    result = evaluate(softmax(logits), np.array([0, 0, 1, 1]), ["a", "b"])
    assert result.accuracy == 0.75
    assert result.confusion.tolist() == [[2, 0], [1, 1]]
    assert result.macro_f1 == pytest.approx((0.8 + 2 / 3) / 2)
    assert result.per_class[1] == {"label": "b", "precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3), "rows": 2}
