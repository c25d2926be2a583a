"""Batches that expose wrong masks and wrong positions, and what the checkpoint says of them."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from export.rows import Feed, Row, feed
from training.heads import Classifier
from training.scope.model import ScopedClassifier

NAMES = {"input_ids", "attention_mask", "token_type_ids"}
LENGTHS = (1, 2, 8, 64, 128, 256, 512)
MIXED = 16
"""Rows of the batch of mixed lengths."""


def awkward_shapes(
    rows: list[Row], max_length: int, pad: int, vocabulary: int, positions: int = 0
) -> dict[str, dict[str, NDArray[np.int64]]]:
    """Int64 [batch, sequence] of real rows and, for lengths up to 512 where the model has `positions` for them, of random ids.

    Servers pad on the right. Left padding and holes come from callers who send tensors of their own, and are served as sent.
    """
    by_length = sorted(rows, key=lambda row: len(row.ids))
    spread = np.linspace(0, len(by_length) - 1, min(MIXED, len(by_length))).astype(int)
    longest = feed(by_length[-4:], NAMES, pad)
    longest["attention_mask"][:, 2::3] = 0
    shapes = {
        "mixed lengths": feed([by_length[place] for place in spread], NAMES, pad),
        "left padding": left_padded(feed([by_length[0], by_length[len(by_length) // 2], by_length[-1]], NAMES, pad)),
        "mask with holes": longest,
    }
    random = np.random.default_rng(0)
    for length in lengths(max_length, positions):
        ids = random.integers(0, vocabulary, (2, length))
        shapes[f"length {length}"] = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "token_type_ids": np.zeros_like(ids),
        }
    return shapes


def lengths(max_length: int, positions: int) -> list[int]:
    """The shortest, powers of two, and the longest that is served; up to 512 where there are positions."""
    most = max(max_length, min(LENGTHS[-1], positions))
    return sorted({length for length in LENGTHS if length <= most} | {max_length, most})


def left_padded(batch: Feed) -> Feed:
    """The same rows with their padding moved to the left."""
    real = batch["attention_mask"].sum(axis=1)
    width = batch["attention_mask"].shape[1]
    source = (np.arange(width)[np.newaxis, :] - (width - real)[:, np.newaxis]) % width
    return {name: np.take_along_axis(values, source, axis=1) for name, values in batch.items()}


def checkpoint_outputs(
    model: Classifier | ScopedClassifier, batches: dict[str, dict[str, NDArray[np.int64]]]
) -> dict[str, tuple[dict[str, NDArray[np.int64]], NDArray[np.float32]]]:
    """The checkpoint's outputs of prepared batches: logits, and behind them the detector's score, where there is one."""

    return {name: (batch, checkpoint_output(model, batch)) for name, batch in batches.items()}


def checkpoint_output(model: Classifier | ScopedClassifier, batch: Feed) -> NDArray[np.float32]:
    """Of one batch."""
    with torch.inference_mode():
        found = model(**{key: torch.from_numpy(value) for key, value in batch.items()})
        together: Tensor = torch.cat(found, dim=1) if isinstance(found, tuple) else found
        return cast("NDArray[np.float32]", together.numpy())


def told(outputs: NDArray[np.float32], batch: dict[str, NDArray[np.int64]]) -> NDArray[np.float32]:
    """Of outputs [batch, sequence, labels] those of real tokens, since nobody reads the others; of a text's the same."""
    return outputs[batch["attention_mask"] > 0] if outputs.ndim == 3 else outputs
