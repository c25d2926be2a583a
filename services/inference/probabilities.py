"""Logits to calibrated probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def softmax(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Softmax of logits / temperature over the last axis, float32; subtracts the true maximum, so nothing overflows."""
    scaled = logits / np.float32(temperature)
    scaled -= scaled.max(axis=-1, keepdims=True)
    np.exp(scaled, out=scaled)
    scaled /= scaled.sum(axis=-1, keepdims=True)
    return scaled


def sigmoid(logit: float) -> float:
    """The logistic function, in [0, 1]; no finite input overflows."""
    return float(0.5 * (1.0 + np.tanh(0.5 * logit)))
