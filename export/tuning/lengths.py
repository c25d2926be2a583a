"""How long the traffic's texts are, in tokens: the distribution that variants are compared for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.choices import Lengths
from export.failures import ExportFailure

MOST_TEXTS = 1_000_000
LATE = 0.99
"""The quantile that stands for long texts."""


@dataclass(frozen=True, slots=True)
class TokenLengths:
    """Tokens a text, special tokens included, ascending; never empty."""

    source: str
    """What they were taken from, for people."""
    sorted: NDArray[np.int64]

    @classmethod
    def of(cls, lengths: Iterable[int], source: str) -> TokenLengths:
        """Raises ExportFailure where there are none, or one is below 1."""
        found = np.sort(np.array(list(lengths), np.int64))
        if not found.size or found[0] < 1:
            raise ExportFailure(f"{source}: no lengths to measure for: give texts with --texts")
        return cls(source, found)

    @classmethod
    def of_counts(cls, counts: Mapping[int, int], source: str) -> TokenLengths:
        """Of tokens -> texts that long; of more than a million the shares alone count."""
        scale = min(1.0, MOST_TEXTS / max(1, sum(counts.values())))
        texts = {length: round(scale * number) for length, number in sorted(counts.items())}
        return cls.of(np.repeat(list(texts), list(texts.values())).tolist(), source)

    def at(self, quantile: float) -> int:
        """The length that so large a part of the texts does not exceed."""
        return int(self.sorted[min(len(self.sorted) - 1, int(quantile * len(self.sorted)))])

    def sample(self, texts: int) -> list[int]:
        """So many lengths, ascending, evenly spread over the distribution."""
        return [self.at((place + 0.5) / texts) for place in range(texts)]

    def counts(self) -> dict[int, int]:
        """Tokens -> texts that long, as a manifest keeps them."""
        return dict(sorted(Counter(self.sorted.tolist()).items()))

    @property
    def mean(self) -> float:
        """Tokens a text."""
        return float(self.sorted.mean())

    def within(self, longest: int) -> TokenLengths:
        """Cut to what a model reads."""
        return TokenLengths(self.source, np.minimum(self.sorted, longest))

    def describe(self) -> Lengths:
        """What a choice says of them."""
        return Lengths(source=self.source, texts=len(self.sorted), median=self.at(0.5), p99=self.at(LATE))
