"""Batches that hold whole queries, for losses that compare the candidates of a query."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TypeVar

import torch

from training.epoch_batches import EpochBatches

Item = TypeVar("Item")


class QueryBatches(EpochBatches):
    """Batches of one epoch, of at most `size` rows; the candidates of a query share one, and each row is in one of them.

    A query of more candidates is dealt into lists as large as fit, most relevant first, so that each list gets its share of
    those. Lists are packed largest first, each where it leaves the least room: how many batches there are follows from the
    sizes alone.
    """

    def __init__(self, queries: Sequence[int], relevance: Sequence[float], size: int, seed: int) -> None:
        super().__init__(size, seed)
        self._members: dict[int, list[int]] = defaultdict(list)
        for row, query in enumerate(queries):
            self._members[query].append(row)
        self._relevance = relevance
        self._count = len(self._batches(self._generator()))

    def __len__(self) -> int:
        return self._count

    def _batches(self, generator: torch.Generator) -> list[list[int]]:
        lists = [
            each for rows in _shuffled(list(self._members.values()), generator) for each in self._dealt(rows, generator)
        ]
        open_batches: dict[int, list[list[int]]] = defaultdict(list)
        packed: list[list[int]] = []
        # sorting is stable: among lists of one size the order is the shuffled one
        for rows in sorted(lists, key=len, reverse=True):
            room = next((room for room in range(len(rows), self.batch_size) if open_batches[room]), self.batch_size)
            if room == self.batch_size:
                packed.append([])
                batch = packed[-1]
            else:
                batch = open_batches[room].pop()
            batch += rows
            open_batches[self.batch_size - len(batch)].append(batch)
        return _shuffled(packed, generator)

    def _dealt(self, rows: list[int], generator: torch.Generator) -> list[list[int]]:
        """The candidates of a query as lists of at most `size` rows, as few as can be."""
        hands = -(-len(rows) // self.batch_size)
        ordered = sorted(_shuffled(rows, generator), key=lambda row: -self._relevance[row])
        return [ordered[hand::hands] for hand in range(hands)]


def _shuffled(items: list[Item], generator: torch.Generator) -> list[Item]:
    return [items[position] for position in torch.randperm(len(items), generator=generator).tolist()]
