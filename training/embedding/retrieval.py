"""How well queries find the texts that belong with them, among all second texts of a split.

The measures are those of the field: reciprocal rank of the first right one within the first 10 (MRR@10), share of the right ones
among the first k (recall@k), and discounted cumulative gain over the best possible one (nDCG@10, Jarvelin and Kekalainen 2002).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.dataset import Example

DEEPEST = 10
CUTS = (1, 5, 10)
QUERIES_AT_ONCE = 512

Scores = NDArray[np.float32]
Ranked = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Collection:
    """The different queries of a split, its different candidates, and which belong together."""

    queries: list[int]
    """Row of each query, the first that has it."""
    candidates: list[int]
    """The same of the candidates."""
    right: list[frozenset[int]]
    """For each query the positions of its candidates."""
    itself: list[int | None]
    """For each query where it stands among the candidates, unless that is right. It would be the nearest of all."""

    @classmethod
    def of(cls, identities: NDArray[np.int64]) -> Collection:
        """Of the identities of first and second texts, [rows, 2]: equal texts have equal numbers."""
        queries: dict[int, int] = {}
        candidates: dict[int, int] = {}
        for row, (query, candidate) in enumerate(identities.tolist()):
            queries.setdefault(query, row)
            candidates.setdefault(candidate, row)
        place = {candidate: position for position, candidate in enumerate(candidates)}
        right: dict[int, set[int]] = {query: set() for query in queries}
        for query, candidate in identities.tolist():
            right[query].add(place[candidate])
        return cls(
            list(queries.values()),
            list(candidates.values()),
            [frozenset(right[query]) for query in queries],
            [None if place.get(query) in right[query] else place.get(query) for query in queries],
        )

    def ranked(self, scores: Callable[[slice], Scores]) -> Ranked:
        """Candidates of each query by their scores, [queries of the slice, candidates]; the query itself is the last of them."""
        itself = np.array([-1 if place is None else place for place in self.itself])

        def of_others(some: slice) -> Scores:
            near, places = scores(some), itself[some]
            rows = np.flatnonzero(places >= 0)
            near[rows, places[rows]] = -np.inf
            return near

        return ranked(len(self.queries), of_others)


def identities_of(examples: Sequence[Example]) -> NDArray[np.int64]:
    """A number for each different text, int64 [rows, 2]."""
    numbers: dict[str, int] = {}
    rows = [
        [numbers.setdefault(text, len(numbers)) for text in (example.text, example.text_pair or "")]
        for example in examples
    ]
    return np.array(rows, np.int64)


def units(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scaled to length 1 (L2), row by row; zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: NDArray[np.float32] = vectors / np.maximum(lengths, np.float32(1e-12))
    return scaled


def by_vectors(vectors: NDArray[np.float32], collection: Collection) -> Ranked:
    """Candidates of each query, nearest first, of vectors [2 x rows, width]: all first texts, then all second ones."""
    rows = len(vectors) // 2
    known = units(vectors)
    queries = known[collection.queries]
    candidates = known[rows:][collection.candidates]
    return collection.ranked(lambda some: queries[some] @ candidates.T)


def ranked(queries: int, scores: Callable[[slice], Scores], deepest: int = DEEPEST) -> Ranked:
    """Positions of the candidates with the highest scores, int64 [queries, deepest or fewer]; equal ones in their order."""
    return np.concatenate([highest(scores(some), deepest) for some in slices(queries)])


def measures(found: Ranked, collection: Collection) -> dict[str, NDArray[np.float64]]:
    """Of each query, [queries], all in [0, 1]."""
    right = collection.right
    hits = np.array(
        [[candidate in wanted for candidate in row] for row, wanted in zip(found.tolist(), right, strict=True)]
    )
    wanted = np.array([len(each) for each in right])
    first = np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, np.inf)
    discounts = 1 / np.log2(np.arange(2, DEEPEST + 2))
    best = np.cumsum(discounts)[np.minimum(wanted, DEEPEST) - 1]
    recalls = {f"recall_at_{cut}": hits[:, :cut].sum(axis=1) / wanted for cut in CUTS}
    gains = (hits * discounts[: hits.shape[1]]).sum(axis=1)
    return {"mrr_at_10": 1 / first, **recalls, "ndcg_at_10": gains / best}


def slices(count: int) -> Iterator[slice]:
    """Rows that are compared with all others at once, so that only their similarities are in memory."""
    for start in range(0, count, QUERIES_AT_ONCE):
        yield slice(start, min(count, start + QUERIES_AT_ONCE))


def of_others(known: NDArray[np.float32], some: slice) -> Scores:
    """Cosines of some rows of unit vectors with all, [rows of the slice, rows]; of each with itself -inf."""
    near: Scores = known[some] @ known.T
    near[np.arange(len(near)), np.arange(some.start, some.stop)] = -np.inf
    return near


def highest(scores: Scores, deepest: int) -> Ranked:
    """Positions of the `deepest` highest scores of each row (or of all), highest first; equal ones in their order."""
    deepest = min(deepest, scores.shape[1])
    lowest = np.partition(-scores, deepest - 1, axis=1)[:, deepest - 1]
    return np.array([_ordered(row, last)[:deepest] for row, last in zip(-scores, lowest, strict=True)], np.int64)


def _ordered(row: Scores, last: np.float32) -> Ranked:
    """Positions of what is not above `last`, ascending."""
    places = np.flatnonzero(~(row > last))
    order: Ranked = places[np.argsort(row[places], kind="stable")]
    return order
