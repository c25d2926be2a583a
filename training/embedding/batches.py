"""Batches of one epoch: texts that belong together are never told apart by mistake."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch

from training.dataset import Example
from training.embedding.relations import partners_of, relation_of
from training.epoch_batches import EpochBatches

TOGETHER = 2
"""Rows of one label that a batch takes at a time: enough for each to have another of its label there."""


class EqualBatches(EpochBatches):
    """As few as hold all rows, all of about one size."""

    def __init__(self, rows: int, batch_size: int, seed: int) -> None:
        super().__init__(batch_size, seed)
        self._count = max(1, -(-rows // batch_size))

    def __len__(self) -> int:
        return self._count

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


class ShuffledBatches(EqualBatches):
    """Every row once, in any company."""

    def _batches(self, generator: torch.Generator) -> list[list[int]]:
        return self._cut(torch.randperm(self._count_rows, generator=generator).tolist())

    def __init__(self, rows: int, batch_size: int, seed: int) -> None:
        super().__init__(rows, batch_size, seed)
        self._count_rows = rows


class DistinctBatches(EqualBatches):
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


class LabelBatches(EqualBatches):
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
) -> EqualBatches:
    """The order that fits what says which of the rows belong together."""
    relation = relation_of(examples)
    if relation == "pair":
        return DistinctBatches(examples, negatives, batch_size, seed)
    if relation == "score":
        return ShuffledBatches(len(examples), batch_size, seed)
    return LabelBatches([example.label for example in examples], batch_size, seed)
