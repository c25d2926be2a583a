"""Rows of different lengths as one batch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.inference.prediction import Encoded

Feed = dict[str, NDArray[np.int64]]


class Padding:
    """Makes the graph's inputs. Thread-safe; arrays it hands out are read, never written."""

    def __init__(self, pad: int, inputs: frozenset[str]) -> None:
        self._pad = pad
        self._types = "token_type_ids" in inputs
        self._constants = _constants(4096)

    def feed(self, rows: list[Encoded]) -> Feed:
        """int64 [rows, longest], padded on the right. Masks of ones and types of zeros are views of the same memory."""
        lengths = [len(row) for row in rows]
        longest = max(lengths)
        shape = (len(rows), longest)
        if len(rows) == 1:
            ids = rows[0].input_ids.reshape(shape)
        elif min(lengths) == longest:
            ids = np.concatenate([row.input_ids for row in rows]).reshape(shape)
        else:
            ids = np.full(shape, self._pad, np.int64)
            for position, row in enumerate(rows):
                ids[position, : lengths[position]] = row.input_ids
        feed = {"input_ids": ids, "attention_mask": self._mask(rows, lengths, shape)}
        if self._types:
            feed["token_type_ids"] = self._types_of(rows, shape)
        return feed

    def _mask(self, rows: list[Encoded], lengths: list[int], shape: tuple[int, int]) -> NDArray[np.int64]:
        plain = all(row.attention_mask is None for row in rows)
        if plain and min(lengths) == shape[1]:
            return self._constant(1, shape)
        mask = np.zeros(shape, np.int64)
        for position, row in enumerate(rows):
            mask[position, : lengths[position]] = 1 if row.attention_mask is None else row.attention_mask
        return mask

    def _types_of(self, rows: list[Encoded], shape: tuple[int, int]) -> NDArray[np.int64]:
        if all(row.token_type_ids is None for row in rows):
            return self._constant(0, shape)
        types = np.zeros(shape, np.int64)
        for position, row in enumerate(rows):
            if row.token_type_ids is not None:
                types[position, : len(row)] = row.token_type_ids
        return types

    def _constant(self, value: int, shape: tuple[int, int]) -> NDArray[np.int64]:
        size = shape[0] * shape[1]
        constants = self._constants
        if size > len(constants[value]):
            constants = self._constants = _constants(2 * size)
        return constants[value][:size].reshape(shape)


def _constants(size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Zeros and ones."""
    both = np.zeros(size, np.int64), np.ones(size, np.int64)
    for array in both:
        array.setflags(write=False)
    return both
