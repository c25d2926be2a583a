"""Texts by their similarity: MinHash (Broder 1997) over character 4-grams proposes, the true Jaccard similarity decides.

Character n-grams see Chinese, which has no spaces, as well as English.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

SHINGLE = 4
PERMUTATIONS = 64
MAX_CANDIDATES = 64
"""Proposals checked for one text; in a crowd of look-alikes the first ones are enough to tie the crowd together."""
SEED = 1


@dataclass(frozen=True, slots=True)
class Sketched:
    """A text as its character 4-grams and their MinHash (datasketch's)."""

    grams: frozenset[int]
    minhash: Any


def sketched(text: str) -> Sketched:
    """The sketch of a text."""
    from datasketch import MinHash

    grams = _shingles(text)
    minhash = MinHash(num_perm=PERMUTATIONS, seed=SEED, hashfunc=int)
    minhash.update_batch(list(grams))
    return Sketched(grams, minhash)


class LookAlikes:
    """Texts that can be found by their similarity, from `threshold` on."""

    def __init__(self, threshold: float) -> None:
        from datasketch import MinHashLSH

        self._threshold = threshold
        self._index = MinHashLSH(threshold=threshold, num_perm=PERMUTATIONS)
        self._grams: list[frozenset[int]] = []

    def add(self, text: Sketched) -> None:
        """Texts are numbered 0, 1, 2, ... as they come."""
        self._index.insert(len(self._grams), text.minhash)
        self._grams.append(text.grams)

    def find(self, text: Sketched) -> list[tuple[int, float]]:
        """Numbers and similarities of the texts that are as similar as that, the first added first."""
        return [
            (number, similarity)
            for number in sorted(self._index.query(text.minhash))[:MAX_CANDIDATES]
            if (similarity := jaccard(text.grams, self._grams[number])) >= self._threshold
        ]


def jaccard(one: frozenset[int], other: frozenset[int]) -> float:
    """Size of the intersection over size of the union, in [0, 1]."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared) if shared else 0.0


def _shingles(text: str) -> frozenset[int]:
    return frozenset(zlib.crc32(text[i : i + SHINGLE].encode()) for i in range(max(1, len(text) - SHINGLE + 1)))
