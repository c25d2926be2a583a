"""Prediction sets: what they promise, and what they hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from training.conformal import LEVELS, SHOWN, conformal_thresholds, coverage_report, in_set, threshold_for


def drawn(rows: int, seed: int, sharpness: float = 2.0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Probabilities of a model that is often right and overconfident, and what is right."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 10, rows)
    logits = random.standard_normal((rows, 10))
    logits[np.arange(rows), truth] += 2.0
    exponents = np.exp(sharpness * logits)
    return exponents / exponents.sum(axis=1, keepdims=True), truth


@pytest.mark.parametrize("sharpness", [0.3, 1.0, 3.0])
def test_sets_cover_what_they_promise_whatever_the_model_believes(sharpness: float) -> None:
    thresholds = conformal_thresholds(*drawn(4_000, 0, sharpness))
    report = coverage_report(*drawn(4_000, 1, sharpness), thresholds)
    for level in SHOWN:
        assert report[f"{level:g}"]["coverage"] >= level - 0.015


def test_higher_levels_have_lower_thresholds_and_larger_sets() -> None:
    thresholds = conformal_thresholds(*drawn(2_000, 0))
    assert thresholds == sorted(thresholds, reverse=True)
    report = coverage_report(*drawn(500, 1), thresholds)
    sizes = [report[f"{level:g}"]["mean_size"] for level in SHOWN]
    assert sizes == sorted(sizes)


@given(st.integers(2, 300), st.integers(0, 1_000))
def test_of_the_calibration_rows_themselves_enough_are_covered(rows: int, seed: int) -> None:
    probabilities, truth = drawn(rows, seed)
    for level, threshold in zip(LEVELS, conformal_thresholds(probabilities, truth), strict=True):
        assert in_set(probabilities, threshold)[np.arange(rows), truth].mean() >= level


def test_too_few_rows_promise_only_the_whole() -> None:
    thresholds = conformal_thresholds(*drawn(20, 0))
    assert threshold_for(0.99, LEVELS, thresholds) == 0.0
    assert threshold_for(0.9, LEVELS, thresholds) != 0.0


def test_a_set_is_never_empty() -> None:
    probabilities, _ = drawn(200, 0)
    assert (in_set(probabilities, 1.0).sum(axis=1) >= 1).all()


def test_a_level_between_two_takes_the_higher_one() -> None:
    assert threshold_for(0.85, (0.8, 0.9), (0.5, 0.3)) == 0.3
    assert threshold_for(np.float32(0.9), (0.8, 0.9), (0.5, 0.3)) == 0.3
    assert threshold_for(0.95, (0.8, 0.9), (0.5, 0.3)) is None
