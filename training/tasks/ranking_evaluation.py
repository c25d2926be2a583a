"""How good the order of each query's candidates is. Of equal scores the less relevant comes first: ties win nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

METRICS = ("ndcg_at_10", "mrr", "map")
CUT = 10


def query_scores(scores: NDArray[np.float32], truth: NDArray[np.float32] | NDArray[np.int64]) -> NDArray[np.float64]:
    """nDCG@10, reciprocal rank and average precision of each query that counts, float64 [queries, 3], in [0, 1].

    `truth` is relevance and number of the query, [rows, 2]. A query counts if some of its candidates are more relevant than
    others: any order of the others is right. The gain of nDCG is the relevance itself (Järvelin and Kekäläinen 2002); for the
    other two a candidate is relevant if its relevance is above 0.
    """
    found = [_of_query(scores[rows], truth[rows, 0]) for rows in rows_by_query(truth[:, 1])]
    return np.array([each for each in found if each is not None], np.float64).reshape(-1, len(METRICS))


def mean_scores(by_query: NDArray[np.float64]) -> dict[str, float]:
    """The means over the queries; 0 without any."""
    means = by_query.mean(axis=0) if len(by_query) else np.zeros(len(METRICS))
    return {name: float(value) for name, value in zip(METRICS, means, strict=True)}


def rows_by_query(queries: NDArray[np.generic]) -> list[NDArray[np.int64]]:
    """Positions of each query's rows."""
    order = np.argsort(queries, kind="stable")
    _, starts = np.unique(queries[order], return_index=True)
    return np.split(order, starts[1:])


def _of_query(scores: NDArray[np.float32], relevance: NDArray[np.generic]) -> tuple[float, float, float] | None:
    gains = relevance.astype(np.float64)
    if not gains.min() < gains.max():
        return None
    gains = gains[np.lexsort((gains, -scores))]
    discounts = 1.0 / np.log2(np.arange(2, min(CUT, len(gains)) + 2))
    ideal = float(np.sort(gains)[::-1][:CUT] @ discounts)
    ranks = 1 + np.flatnonzero(gains > 0)
    precision = np.arange(1, len(ranks) + 1) / ranks
    return float(gains[:CUT] @ discounts) / ideal, float(1.0 / ranks[0]), float(precision.mean())
