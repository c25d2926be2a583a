"""Logits to calibrated probabilities to labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.inference.prediction import Classification, Encoded, LabelScore


def probabilities(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Row-wise softmax of logits / temperature, float32 [rows, labels]; subtracts the true maximum of each row."""
    scaled = logits / np.float32(temperature)
    scaled -= scaled.max(axis=1, keepdims=True)
    np.exp(scaled, out=scaled)
    scaled /= scaled.sum(axis=1, keepdims=True)
    return scaled


def classification(row: NDArray[np.float32], labels: list[str], top_k: int | None, encoded: Encoded) -> Classification:
    """The best `top_k` labels (None: all) of one row of probabilities; equal ones in the model's order."""
    best = [int(row.argmax())] if top_k == 1 else np.argsort(-row, kind="stable")[:top_k].tolist()
    return Classification([LabelScore(labels[i], float(row[i])) for i in best], row, len(encoded), encoded.truncated)
