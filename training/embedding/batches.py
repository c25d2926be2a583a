"""Batches of one epoch: texts that belong together are never told apart by mistake.

Every order is a function of seed and epoch alone, never of the global random state, so that a run resumed in the middle of an
epoch goes on with exactly the batches that the killed one had not seen. Every epoch has the same number of batches.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import Sampler

from training.dataset import Example
from training.embedding.relations import partners_of, relation_of
from training.epoch_generator import epoch_generator

TOGETHER = 2
"""Rows of one label that a batch takes at a time: enough for each to have another of its label there."""


class EpochBatches(Sampler[list[int]], ABC):
    """Positions of the rows of each batch. `batch_size` and `drop_last` are what accelerate asks of it."""

    def __init__(self, rows: int, batch_size: int, seed: int) -> None:
        self.batch_size = batch_size
        self.drop_last = False
        self._count = max(1, -(-rows // batch_size))
        self._seed = seed
        self._epoch = 0

    @property
    def sampler(self) -> EpochBatches:
        """Where accelerate looks for `set_epoch` when several processes share the batches."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self._batches(epoch_generator(self._seed, self._epoch)))

    @abstractmethod
    def _batches(self, generator: torch.Generator) -> list[list[int]]:
        """As many as `len` says."""

    def _size(self, rows: int, number: int) -> int:
        """Of the batch `number`, of the rows that are left: sizes differ by one at most, since a small batch is an easy one."""
        return -(-rows // (self._count - number))

    def _cut(self, order: Sequence[int]) -> list[list[int]]:
        batches, start = [], 0
        for number in range(self._count):
            end = start + self._size(len(order) - start, number)
            batches.append(list(order[start:end]))
            start = end
        return batches


class ShuffledBatches(EpochBatches):
    """Every row once, in any company."""

    def _batches(self, generator: torch.Generator) -> list[list[int]]:
        return self._cut(torch.randperm(self._count_rows, generator=generator).tolist())

    def __init__(self, rows: int, batch_size: int, seed: int) -> None:
        super().__init__(rows, batch_size, seed)
        self._count_rows = rows


class DistinctBatches(EpochBatches):
    """Every pair at most once, and no second text or negative that another first text of the batch stands beside in any pair.

    A row that fits nowhere waits for a later batch, and at the end for another epoch, whose order is another one.
    """

    def __init__(
        self, examples: Sequence[Example], negatives: Sequence[Sequence[str]], batch_size: int, seed: int
    ) -> None:
        super().__init__(len(examples), batch_size, seed)
        partners = partners_of(examples)
        self._near = [partners[example.text] | {example.text} for example in examples]
        """Texts that a row must not be told from."""
        self._told = [{example.text_pair, *others} for example, others in zip(examples, negatives, strict=True)]
        """Texts that the other rows of the batch are told from."""

    def _batches(self, generator: torch.Generator) -> list[list[int]]:
        waiting = torch.randperm(len(self._near), generator=generator).tolist()
        batches = []
        for number in range(self._count):
            batch, waiting = self._next(waiting, min(self.batch_size, self._size(len(waiting), number)))
            batches.append(batch)
        return batches

    def _next(self, waiting: list[int], size: int) -> tuple[list[int], list[int]]:
        batch: list[int] = []
        passed: list[int] = []
        near: set[str] = set()
        told: set[str | None] = set()
        for position, row in enumerate(waiting):
            if len(batch) == size:
                return batch, passed + waiting[position:]
            if near.isdisjoint(self._told[row]) and told.isdisjoint(self._near[row]):
                batch.append(row)
                near |= self._near[row]
                told |= self._told[row]
            else:
                passed.append(row)
        return batch, passed


class LabelBatches(EpochBatches):
    """Rows of one label two by two, labels in any order; of an odd number of rows another one is left out in each epoch."""

    def __init__(self, labels: Sequence[str], batch_size: int, seed: int) -> None:
        self._members: dict[str, list[int]] = defaultdict(list)
        for row, label in enumerate(labels):
            self._members[label].append(row)
        self._groups = sum(len(rows) // TOGETHER for rows in self._members.values())
        super().__init__(self._groups, max(1, batch_size // TOGETHER), seed)

    @property
    def groups(self) -> int:
        """Pairs of rows of one label in an epoch."""
        return self._groups

    def _batches(self, generator: torch.Generator) -> list[list[int]]:
        groups: list[list[int]] = []
        for label in sorted(self._members):
            rows = self._members[label]
            order = [rows[position] for position in torch.randperm(len(rows), generator=generator).tolist()]
            groups += [order[start : start + TOGETHER] for start in range(0, len(rows) - 1, TOGETHER)]
        order = torch.randperm(len(groups), generator=generator).tolist()
        return [[row for group in part for row in groups[group]] for part in self._cut(order)]


def batches_of(
    examples: Sequence[Example], negatives: Sequence[Sequence[str]], batch_size: int, seed: int
) -> EpochBatches:
    """The order that fits what says which of the rows belong together."""
    relation = relation_of(examples)
    if relation == "pair":
        return DistinctBatches(examples, negatives, batch_size, seed)
    if relation == "score":
        return ShuffledBatches(len(examples), batch_size, seed)
    return LabelBatches([example.label for example in examples], batch_size, seed)
