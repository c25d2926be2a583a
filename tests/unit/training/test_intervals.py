"""Intervals hold what they promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import f1_score

from training.calibration import softmax
from training.evaluation import evaluate, uncertainty
from training.intervals import bootstrap
from training.tasks.multi_label_evaluation import evaluate_labels, uncertainty_of_labels


def test_the_interval_of_a_share_is_that_of_the_normal_approximation() -> None:
    right = np.array([1.0] * 800 + [0.0] * 200)
    low, high = bootstrap(1000, lambda rows: {"accuracy": float(right[rows].mean())})["accuracy"]
    half = 1.96 * math.sqrt(0.8 * 0.2 / 1000)
    assert (low, high) == (pytest.approx(0.8 - half, abs=0.004), pytest.approx(0.8 + half, abs=0.004))


def test_more_rows_leave_less_open_and_the_same_rows_the_same() -> None:
    random = np.random.default_rng(0)

    def width(rows: int) -> float:
        logits = random.normal(size=(rows, 3)).astype(np.float32)
        low, high = uncertainty(logits, random.integers(0, 3, rows))["accuracy"]
        return high - low

    assert width(2000) < 0.6 * width(200)
    logits, truth = random.normal(size=(50, 3)).astype(np.float32), random.integers(0, 3, 50)
    assert uncertainty(logits, truth) == uncertainty(logits, truth)


def test_the_scores_resampled_are_those_reported() -> None:
    random = np.random.default_rng(1)
    truth = random.integers(0, 5, 400)
    logits = (random.normal(size=(400, 5)) + 2 * np.eye(5)[truth]).astype(np.float32)
    result = evaluate(softmax(logits), truth, list("abcde"))
    for name, (low, high) in uncertainty(logits, truth).items():
        assert low < result.scores(result.reliability)[name] < high
    probabilities, applies = random.random((300, 4)), random.random((300, 4)) < 0.3
    scores = evaluate_labels(probabilities, applies.astype(np.float32), list("abcd"), [0.5] * 4)
    found = uncertainty_of_labels(probabilities >= 0.5, applies)
    assert found["micro_f1"][0] < scores.micro_f1 < found["micro_f1"][1]
    assert found["macro_f1"][0] < scores.macro_f1 < found["macro_f1"][1]
    assert found["exact_match"][0] < scores.exact_match < found["exact_match"][1]
    assert scores.micro_f1 == pytest.approx(f1_score(applies, probabilities >= 0.5, average="micro"))
