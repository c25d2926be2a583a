"""A cross-encoder's variant beside its checkpoint: the relevance that they state, and the order that it gives candidates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from export.comparison import Drift, Outputs, UnitScores
from training.calibration import binned, expected_calibration_error, sigmoid
from training.dataset import Example
from training.tasks.pair_scoring import relevance_and_query
from training.tasks.ranking_evaluation import METRICS, mean_scores, query_scores, rows_by_query

APART = 0.01
"""Relevance from which on two candidates, or one and itself in other company, are told apart."""

NDCG = "ndcg_at_10"


class RankingComparison:
    """Order within queries, distance of relevance, nDCG@10."""

    def __init__(self, temperature: float) -> None:
        self._temperature = temperature

    def right(self, examples: Sequence[Example]) -> NDArray[np.float32]:
        """Relevance and number of the query, [rows, 2]."""
        return relevance_and_query([example.value or 0.0 for example in examples], examples)

    def score(self, outputs: Outputs, right: NDArray[np.float32]) -> float:
        """nDCG@10."""
        return mean_scores(query_scores(outputs[:, 0], right))[NDCG]

    def unit_scores(self, outputs: Outputs, right: NDArray[np.float32]) -> UnitScores:
        """The same, by query: the candidates of one belong together."""
        each = query_scores(outputs[:, 0], right)[:, METRICS.index(NDCG)]
        return UnitScores(len(each), lambda at: float(each[at].mean()))

    def agreement(self, outputs: Outputs, reference: Outputs, right: NDArray[np.float32]) -> float:
        """Of the pairs of a query's candidates that the checkpoint tells apart, the share in the same order; 1 without any."""
        stated, expected = self._relevance(outputs), self._relevance(reference)
        alike = pairs = 0
        for rows in rows_by_query(right[:, 1]):
            above = expected[rows, None] - expected[None, rows] > APART
            pairs += int(above.sum())
            alike += int((above & (stated[rows, None] > stated[None, rows])).sum())
        return alike / pairs if pairs else 1.0

    def drift(self, alone: Outputs, in_company: Outputs, decisions: NDArray[np.int64]) -> Drift:
        """Candidates whose relevance moves by more than 0.01."""
        moved = np.abs(self._relevance(alone) - self._relevance(in_company))
        return Drift(float((moved > APART).mean()), float(moved.max()))

    def difference(self, outputs: Outputs, reference: Outputs) -> float:
        """Mean absolute difference of relevance."""
        return float(np.abs(self._relevance(outputs) - self._relevance(reference)).mean())

    def calibration_error(self, outputs: Outputs, right: NDArray[np.float32]) -> float:
        """Of the relevance that is stated."""
        return expected_calibration_error(binned(self._relevance(outputs), right[:, 0]))

    def _relevance(self, outputs: Outputs) -> NDArray[np.float64]:
        return sigmoid(outputs[:, 0] / np.float32(self._temperature))
