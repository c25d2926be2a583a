"""How often the rows of each class are seen in an epoch."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

import torch

from training.settings import Sampling


class EpochRows:
    """Draws the rows of an epoch: a function of seed and epoch alone, so that a resumed run draws what the killed one did."""

    def __init__(self, classes: Sequence[str], sampling: Sampling, seed: int, unlabelled: int = 0) -> None:
        """`unlabelled` rows follow those of `classes`; each of them is seen once, whatever the sampling."""
        self._seed = seed
        self._unlabelled = range(len(classes), len(classes) + unlabelled)
        self._members: dict[str, list[int]] = defaultdict(list)
        for row, name in enumerate(classes):
            self._members[name].append(row)
        self._quota = quotas(Counter(classes), sampling)

    def __len__(self) -> int:
        """Rows of an epoch."""
        return sum(self._quota.values()) + len(self._unlabelled)

    def rows(self, epoch: int) -> list[int]:
        """Positions of the rows, ascending; every row of a class as often as the others of it, or once more."""
        generator = torch.Generator().manual_seed(self._seed * 99_991 + epoch)
        drawn = list(self._unlabelled)
        for name in sorted(self._members):
            members, quota = self._members[name], self._quota[name]
            whole, rest = divmod(quota, len(members))
            extra = torch.randperm(len(members), generator=generator)[:rest].tolist()
            drawn += members * whole + [members[position] for position in extra]
        return sorted(drawn)


def quotas(sizes: Counter[str], sampling: Sampling) -> dict[str, int]:
    """Rows of each class in an epoch; a class of several labels a text is the set of its labels."""
    largest, smallest = max(sizes.values()), min(sizes.values())
    if sampling == "none":
        return dict(sizes)
    if sampling == "square_root":
        return {name: round(math.sqrt(size * largest)) for name, size in sizes.items()}
    return dict.fromkeys(sizes, largest if sampling == "over" else smallest)
