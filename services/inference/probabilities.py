"""Logits to calibrated probabilities."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray


def softmax(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Softmax of logits / temperature over the last axis, float32; subtracts the true maximum, so nothing overflows."""
    scaled = logits / np.float32(temperature)
    scaled -= scaled.max(axis=-1, keepdims=True)
    np.exp(scaled, out=scaled)
    scaled /= scaled.sum(axis=-1, keepdims=True)
    return scaled


def sigmoids(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """The logistic function of each logit / temperature, float32 in [0, 1]; no finite input overflows."""
    scaled = logits / np.float32(temperature)
    small = np.exp(-np.abs(scaled))
    probabilities: NDArray[np.float32] = np.where(scaled >= 0, np.float32(1.0), small) / (np.float32(1.0) + small)
    return probabilities


def sigmoid(logit: float) -> float:
    """The logistic function, in [0, 1], to the precision of float32; no finite input overflows."""
    small = math.exp(-abs(logit))
    return float(np.float32((1.0 if logit >= 0 else small) / (1.0 + small)))


OF_LABELS: dict[str, Callable[[NDArray[np.float32], float], NDArray[np.float32]]] = {
    "single_label_classification": softmax,
    "multi_label_classification": sigmoids,
}
"""By the task: labels that exclude one another share a whole, others are questions of their own."""
