"""Temperature scaling and calibration error (Guo, Pleiss, Sun, Weinberger 2017, "On Calibration of Modern Neural Networks")."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

BINS = 15
RANGE = (0.05, 20.0)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Row-wise softmax, [rows, labels]; subtracts the true maximum, so no finite input overflows."""
    exponents = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    normalised: NDArray[np.float64] = exponents / exponents.sum(axis=1, keepdims=True)
    return normalised


def fit_temperature(logits: NDArray[np.float32], truth: NDArray[np.int64]) -> float:
    """The temperature in 0.05..20 that minimises the negative log-likelihood of the rows."""

    def loss(log_temperature: float) -> float:
        scaled = logits.astype(np.float64) / np.exp(log_temperature)
        scaled -= scaled.max(axis=1, keepdims=True)
        log_sum = np.log(np.exp(scaled).sum(axis=1))
        return float((log_sum - scaled[np.arange(len(truth)), truth]).mean())

    found = minimize_scalar(loss, bounds=tuple(np.log(RANGE)), method="bounded")
    return float(np.exp(found.x))


def expected_calibration_error(probabilities: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """Mean distance between confidence and accuracy over 15 equal-width bins, weighted by rows, in [0, 1]."""
    return float(
        sum(share * abs(confidence - accuracy) for confidence, accuracy, share in reliability(probabilities, truth))
    )


def reliability(probabilities: NDArray[np.float64], truth: NDArray[np.int64]) -> list[tuple[float, float, float]]:
    """(mean confidence, accuracy, share of rows) of each bin that has rows."""
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == truth
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return [
        (float(confidence[bins == b].mean()), float(correct[bins == b].mean()), float((bins == b).mean()))
        for b in range(BINS)
        if (bins == b).any()
    ]
