"""Temperature scaling and calibration error (Guo, Pleiss, Sun, Weinberger 2017, "On Calibration of Modern Neural Networks")."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit

BINS = 15
RANGE = (0.05, 20.0)
FARTHEST = 30.0
"""Log-odds by which a shift moves relevance at most."""


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Row-wise softmax, [rows, labels]; subtracts the true maximum, so no finite input overflows."""
    exponents = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    normalised: NDArray[np.float64] = exponents / exponents.sum(axis=1, keepdims=True)
    return normalised


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """The logistic function of each logit; no finite input overflows."""
    values: NDArray[np.float64] = expit(logits.astype(np.float64))
    return values


def fit_temperature(logits: NDArray[np.float32], truth: NDArray[np.int64]) -> float:
    """The temperature in 0.05..20 that minimises the negative log-likelihood of the rows."""

    def loss(log_temperature: float) -> float:
        scaled = logits.astype(np.float64) / np.exp(log_temperature)
        scaled -= scaled.max(axis=1, keepdims=True)
        log_sum = np.log(np.exp(scaled).sum(axis=1))
        return float((log_sum - scaled[np.arange(len(truth)), truth]).mean())

    return _minimum(loss)


def fit_binary_temperature(logits: NDArray[np.float32], truth: NDArray[np.float32]) -> float:
    """The same where each label is a question of its own: truth is 0 or 1, [rows, labels]."""
    signed = np.where(truth > 0, -1.0, 1.0) * logits.astype(np.float64)

    def loss(log_temperature: float) -> float:
        return float(np.logaddexp(0.0, signed / np.exp(log_temperature)).mean())

    return _minimum(loss)


def fit_relevance(logits: NDArray[np.float32], relevance: NDArray[np.float32]) -> tuple[float, float]:
    """Temperature (in 0.05..20) and shift so that sigmoid((logit + shift) / temperature) is the most likely relevance.

    Both [rows], relevance in [0, 1]. This is Platt scaling (Platt 1999): ranking losses leave open where the logits lie.
    """
    values, truth = logits.astype(np.float64), relevance.astype(np.float64)

    def loss(slope_and_offset: NDArray[np.float64]) -> float:
        scaled = slope_and_offset[0] * values + slope_and_offset[1]
        return float((np.logaddexp(0.0, scaled) - truth * scaled).mean())

    low, high = RANGE
    found = minimize(loss, (1.0, 0.0), method="L-BFGS-B", bounds=((1 / high, 1 / low), (-FARTHEST, FARTHEST)))
    slope, offset = map(float, found.x)
    return 1 / slope, offset / slope


def _minimum(loss: Callable[[float], float]) -> float:
    found = minimize_scalar(loss, bounds=tuple(np.log(RANGE)), method="bounded")
    return float(np.exp(found.x))


Reliability = list[tuple[float, float, float]]
"""(mean confidence, share that was right, share of all) of each bin that has any."""


def expected_calibration_error(bins: Reliability) -> float:
    """Mean distance between confidence and what was right, weighted by the bins' sizes, in [0, 1]."""
    return float(sum(share * abs(confidence - right) for confidence, right, share in bins))


def reliability(probabilities: NDArray[np.float64], truth: NDArray[np.int64]) -> Reliability:
    """How often the best label is right, by its probability; [rows, labels] and indices [rows]."""
    return binned(probabilities.max(axis=1), probabilities.argmax(axis=1) == truth)


def binned(confidence: NDArray[np.float64], correct: NDArray[np.bool_] | NDArray[np.generic]) -> Reliability:
    """Over 15 bins of equal width; both [anything]. What is correct may be a share in [0, 1], too."""
    confidence, correct = confidence.ravel(), correct.ravel()
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return [
        (float(confidence[bins == b].mean()), float(correct[bins == b].mean()), float((bins == b).mean()))
        for b in range(BINS)
        if (bins == b).any()
    ]
