from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.inference.prediction import CandidateScore, Ranked
from services.inference.probabilities import sigmoid
from services.inference.queries import PLAIN, ModelReference, ScoreQuery
from services.inference.tasks.scoring import best
from services.platform.failures import InvalidInput


def query(top_k: int | None = None, threshold: float | None = None) -> ScoreQuery:
    return ScoreQuery(ModelReference("ranker"), None, PLAIN, "query", [], top_k, threshold)


def ranked(index: int, raw: float | None) -> Ranked:
    if raw is None:
        return Ranked(index, InvalidInput("the text is empty", f"candidates[{index}]", "TEXT_EMPTY"))
    return Ranked(index, CandidateScore(3, False, 1, sigmoid(raw), raw))


def order(raws: list[float | None], **options: float) -> list[int]:
    asked = query(**options)  # type: ignore[arg-type]
    return [each.index for each in best([ranked(index, raw) for index, raw in enumerate(raws)], asked)]


def test_the_best_come_first_and_those_that_failed_last() -> None:
    assert order([0.5, None, 2.0, -1.0, None]) == [2, 0, 3, 1, 4]


def test_equal_candidates_keep_their_order() -> None:
    assert order([1.0, 2.0, 1.0, 2.0]) == [1, 3, 0, 2]


def test_scores_that_have_all_reached_one_are_still_ranked() -> None:
    assert sigmoid(30.0) == sigmoid(50.0) == 1.0
    assert order([30.0, 50.0, 40.0]) == [1, 2, 0]


def test_top_k_counts_candidates_that_have_a_score() -> None:
    assert order([0.5, None, 2.0, 1.0], top_k=2) == [2, 3, 1]


def test_a_threshold_that_was_a_score_keeps_its_candidate() -> None:
    assert order([1.0, -1.0], threshold=sigmoid(1.0)) == [0]


@given(st.lists(st.none() | st.floats(-50, 50), max_size=30), st.none() | st.integers(1, 10))
def test_every_ranking_is_sorted_and_complete(raws: list[float | None], top_k: int | None) -> None:
    result = order(raws) if top_k is None else order(raws, top_k=top_k)
    scored = [raws[index] for index in result if raws[index] is not None]
    assert scored == sorted(scored, reverse=True)  # type: ignore[type-var]
    there = sum(raw is not None for raw in raws)
    assert len(scored) == (there if top_k is None else min(top_k, there))
    assert len(result) - len(scored) == raws.count(None)
