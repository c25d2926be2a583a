"""The same rows in different company: whether a text is answered alike whoever shares its batch.

One batch size and one order prove little. Neighbours of equal length leave no padding, strangers much of it; a kernel may take
another path from some size on; and a scheme with one activation scale for a whole batch changes with every mate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.measurement import Runner
from export.proof import Order
from export.rows import Row

BATCHES = (4, 16)
MOST_ROWS = 1_000
"""Rows that are computed in company. Of 1,000, 0.2 % are two flips; the four arrangements cost as much again as four passes."""
SEED = 0


@dataclass(frozen=True, slots=True)
class InCompany:
    """Outputs of rows, in their order, computed in batches."""

    batch: int
    order: Order
    outputs: NDArray[np.float32]


def sampled(count: int) -> NDArray[np.int64]:
    """Positions of the rows that are computed in company, ascending: all, or a seeded sample."""
    if count <= MOST_ROWS:
        return np.arange(count)
    return np.sort(np.random.default_rng(SEED).choice(count, MOST_ROWS, replace=False))


def shuffled(count: int) -> list[int]:
    """An order in which rows meet others than their neighbours; always the same."""
    order: list[int] = np.random.default_rng(SEED).permutation(count).tolist()
    return order


def in_company(runner: Runner, rows: Sequence[Row]) -> Iterator[InCompany]:
    """The rows in batches of 4 and of 16, sorted by length and shuffled; always the same."""
    orders: dict[Order, list[int]] = {
        "by length": sorted(range(len(rows)), key=lambda position: len(rows[position].ids)),
        "shuffled": shuffled(len(rows)),
    }
    for batch in BATCHES:
        for name, order in orders.items():
            yield InCompany(batch, name, runner.logits(rows, order, batch))


def decisions(rows: Sequence[Row]) -> NDArray[np.int64]:
    """How many decisions each row's outputs hold: one, or where words are labelled one a word; int64 [rows]."""
    return np.array([1 if row.reads is None else len(row.reads) for row in rows], np.int64)


def of_rows(outputs: NDArray[np.float32], counts: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """The outputs [decisions, ...] of some of the rows; `counts` as `decisions` says."""
    return outputs[np.repeat(np.isin(np.arange(len(counts)), rows), counts)]
