"""Rows of different lengths as one batch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.inference.prediction import Encoded

Feed = dict[str, NDArray[np.int64]]


class Padding:
    """Makes the graph's inputs. Thread-safe; the arrays are for reading."""

    def __init__(self, pad: int, inputs: frozenset[str]) -> None:
        self._pad = pad
        self._types = "token_type_ids" in inputs
        self._zeros = _zeros(4096)

    def feed(self, rows: list[Encoded]) -> Feed:
        """int64 [rows, longest], padded on the right. Types of zeros are a view of the same memory."""
        longest = max(map(len, rows))
        shape = (len(rows), longest)
        ids = np.full(shape, self._pad, np.int64)
        mask = np.zeros(shape, np.int64)
        types: NDArray[np.int64] | None = None
        for position, row in enumerate(rows):
            length = len(row)
            ids[position, :length] = row.input_ids
            mask[position, :length] = 1 if row.attention_mask is None else row.attention_mask
            if row.token_type_ids is not None and self._types:
                types = np.zeros(shape, np.int64) if types is None else types
                types[position, :length] = row.token_type_ids
        feed = {"input_ids": ids, "attention_mask": mask}
        if self._types:
            feed["token_type_ids"] = self._none(shape) if types is None else types
        return feed

    def _none(self, shape: tuple[int, int]) -> NDArray[np.int64]:
        size = shape[0] * shape[1]
        zeros = self._zeros
        if size > len(zeros):
            zeros = self._zeros = _zeros(2 * size)
        return zeros[:size].reshape(shape)


def _zeros(size: int) -> NDArray[np.int64]:
    zeros = np.zeros(size, np.int64)
    zeros.setflags(write=False)
    return zeros
