"""How variants of models of numbers and of rankings are compared with their checkpoint."""

from __future__ import annotations

import numpy as np
import pytest

from export.number_comparison import NumberComparison
from export.ranking_comparison import RankingComparison
from tests.unit.export.test_verification import GOOD, judged
from training.dataset import Example
from training.numbers import Scale

NUMBERS = NumberComparison(Scale(mean=10.0, deviation=2.0))
RANKING = RankingComparison(temperature=2.0)


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float32)[:, None]


def test_numbers_are_compared_in_standard_deviations() -> None:
    right = NUMBERS.right([Example("a", "8", value=8.0), Example("b", "12", value=12.0)])
    assert right.tolist() == [-1.0, 1.0]
    assert NUMBERS.score(column(-1, 1), right) == 1.0
    assert NUMBERS.difference(column(0.5, 1), column(0, 1)) == 0.25
    assert NUMBERS.agreement(column(1, 2, 3), column(1, 2, 9), right) == pytest.approx(1.0)
    assert NUMBERS.agreement(column(3, 2, 1), column(1, 2, 3), right) == 0.0


def test_a_number_that_moves_with_its_company_is_counted() -> None:
    drift = NUMBERS.drift(column(0, 1, 2, 3), column(0, 1.005, 2, 3.5), np.ones(4, np.int64))
    assert (drift.share, drift.largest) == (0.25, 0.5)


def test_order_is_compared_within_queries_only_and_where_the_checkpoint_tells_candidates_apart() -> None:
    examples = [Example(query, "0", str(n), value=0.0) for n, query in enumerate("aaabb")]
    right = RANKING.right(examples)
    checkpoint = column(2, 0, -2, 9, 9.0001)
    assert RANKING.agreement(checkpoint, checkpoint, right) == 1.0
    # the last two, both as good as 1, may be in any order; of the first three one of three pairs is turned
    assert RANKING.agreement(column(2, -2, 0, 20, 10), checkpoint, right) == pytest.approx(2 / 3)
    assert RANKING.agreement(column(*[1.0] * 5), checkpoint, right) == 0.0


def test_relevance_is_what_moves() -> None:
    drift = RANKING.drift(column(0, 30), column(0.4, 40), np.ones(2, np.int64))
    assert drift.share == 0.5
    assert drift.largest == pytest.approx(1 / (1 + np.exp(-0.2)) - 0.5, abs=1e-6)


@pytest.mark.parametrize(
    ("change", "task", "part"),
    [
        ({"mean_difference": 0.11}, "regression", "mean difference 0.110 is above 0.100"),
        ({"mean_difference": float("nan")}, "regression", "mean difference nan"),
        ({"agreement": 0.97}, "regression", "agreement 0.9700 is below 0.9800"),
        ({"agreement": 0.97}, "pair_scoring", "agreement 97.00 % is below 98.00 %"),
        ({"accuracy": 0.9}, "regression", "R² drops by 3.00 points"),
        ({"accuracy": 0.9}, "multi_label_classification", "micro F1 drops by 3.00 points"),
        ({"accuracy": 0.9}, "pair_scoring", "nDCG@10 drops by 3.00 points"),
        ({"flips_with_batch_mates": 0.01}, "pair_scoring", "1.00 % of the relevances move"),
    ],
)
def test_the_gate_refuses_in_the_words_of_the_task(change: dict[str, float], task: str, part: str) -> None:
    assert part in ", ".join(judged(GOOD.model_copy(update=change), "int8", task))
