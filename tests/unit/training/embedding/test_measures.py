"""Measures of retrieval, likeness and shared words, against values worked out by hand and by scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, ndcg_score

from training.dataset import Example
from training.embedding.evaluation import evaluated, scores_of, truth_of
from training.embedding.likeness import label_measures
from training.embedding.mining import hard_negatives, mined_once
from training.embedding.predictions import prediction_lines, retrieval_lines
from training.embedding.relations import relation_of, singles
from training.embedding.retrieval import (
    QUERIES_AT_ONCE,
    Collection,
    by_vectors,
    highest,
    identities_of,
    measures,
    ranked,
    units,
)
from training.embedding.word_overlap import by_words, words


def pairs(*rows: tuple[str, str]) -> list[Example]:
    return [Example(text, "", pair, labels=()) for text, pair in rows]


def vectors(*rows: tuple[float, float]) -> np.ndarray:
    return np.array(rows, np.float32)


def test_ranks_become_the_measures_of_retrieval() -> None:
    examples = pairs(("q1", "a1"), ("q2", "a2"), ("q3", "a3"))
    # q1 finds a1 first, q2 finds a2 third, q3 finds a3 second
    given = vectors((1, 0), (1, 0), (0.6, 0.8), (1, 0), (-1, 0), (0.8, 0.6))
    scores = scores_of(given, truth_of(examples, []))
    assert scores["mrr_at_10"] == pytest.approx((1 + 1 / 3 + 1) / 3)
    assert scores["recall_at_1"] == pytest.approx(2 / 3)
    assert scores["recall_at_5"] == 1.0
    assert scores["ndcg_at_10"] == pytest.approx((1 + 1 / np.log2(4) + 1) / 3)


def test_a_query_with_several_right_texts_is_one_query() -> None:
    examples = pairs(("q", "a"), ("q", "b"), ("r", "c"), ("s", "a"))
    collection = Collection.of(identities_of(examples))
    assert (len(collection.queries), len(collection.candidates)) == (3, 3)
    assert collection.right == [frozenset({0, 1}), frozenset({2}), frozenset({0})]
    random = np.random.default_rng(0)
    given = random.normal(size=(8, 5)).astype(np.float32)
    found = measures(by_vectors(given, collection), collection)
    near = units(given)[collection.queries] @ units(given)[4:][collection.candidates].T
    right = np.array([[place in wanted for place in range(3)] for wanted in collection.right])
    expected = [ndcg_score(right[i : i + 1], near[i : i + 1], k=10) for i in range(3)]
    assert found["ndcg_at_10"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("rows", [30, QUERIES_AT_ONCE + 3])
def test_average_precision_is_that_of_scikit_learn(rows: int) -> None:
    random = np.random.default_rng(1)
    given, labels = random.normal(size=(rows, 4)).astype(np.float32), random.integers(0, 5, rows)
    labels[0] = 99  # the only one of its label: no query
    near = units(given) @ units(given).T
    expected = [
        average_precision_score(np.delete(labels == labels[i], i), np.delete(near[i], i)) for i in range(1, rows)
    ]
    found = label_measures(given, labels)
    assert found["mean_average_precision"] == pytest.approx(expected, abs=1e-6)
    assert len(found["neighbour_accuracy"]) == rows - 1


@pytest.mark.parametrize("deepest", [1, 4, 12, 40])
def test_the_highest_scores_come_in_the_order_of_a_stable_sort(deepest: int) -> None:
    scores = np.random.default_rng(2).integers(0, 5, (9, 12)).astype(np.float32)
    scores[3, :8] = -np.inf
    scores[4] = 1.0
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :deepest]
    assert highest(scores, deepest).tolist() == expected.tolist()


def test_labels_that_stand_once_leave_nothing_to_measure() -> None:
    scored = evaluated(vectors((1, 0), (0, 1)), np.array([0, 1]))
    assert scored.scores == {"mean_average_precision": 0.0, "neighbour_accuracy": 0.0}
    assert scored.intervals == {}


def test_correlation_follows_the_order_and_is_0_without_one() -> None:
    examples = [Example("x", label, "y", labels=()) for label in ("0.1", "0.5", "0.9")]
    truth = truth_of(examples, [])
    given = vectors((1, 0), (1, 0), (1, 0), (0, 1), (0.5, 0.9), (1, 0.1))
    assert scores_of(given, truth)["spearman"] == pytest.approx(1.0)
    low, high = evaluated(given, truth).intervals["spearman"]
    assert 0.0 <= low <= high <= 1.0 + 1e-9
    assert scores_of(np.ones((6, 2), np.float32), truth) == {"spearman": 0.0, "pearson": 0.0}


def test_shared_words_find_english_and_chinese() -> None:
    assert words("The bank's RATE 银行利率") == ["the", "bank", "s", "rate", *"银行利率", "银行", "行利", "利率"]
    examples = pairs(
        ("利率是多少", "今天的利率为 3%"), ("open an account", "An account is opened online."), ("x", "手机坏了")
    )
    collection = Collection.of(identities_of(examples))
    found = by_words([e.text for e in examples], [e.text_pair or "" for e in examples], collection)
    assert found[:2, 0].tolist() == [0, 1]


@given(st.integers(1, 12), st.integers(1, 40), st.integers(1, 12), st.integers(0, 99))
def test_the_nearest_are_those_of_a_stable_sort(queries: int, candidates: int, deepest: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    # few values, so that many are equal, as shared words have it
    scores = random.choice(np.array([0, 0.5, 1, -np.inf, np.nan], np.float32), (queries, candidates))
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :deepest]
    assert np.array_equal(ranked(queries, lambda some: scores[some], deepest), expected)


def test_a_text_on_both_sides_does_not_find_itself() -> None:
    examples = pairs(("银行利率", "利率是多少"), ("bank rate", "银行利率"), ("x", "y"), ("same", "same"))
    collection = Collection.of(identities_of(examples))
    assert collection.itself == [1, None, None, None]  # "same" is right of itself
    given = vectors((1, 0), (0, 1), (-1, 0), (0.6, 0.8), (0.9, 0.1), (1, 0), (-1, 0), (0.6, 0.8))
    found = by_vectors(given, collection)
    assert found[0].tolist() == [0, 3, 2, 1]
    assert found[3, 0] == 3
    assert measures(found, collection)["mrr_at_10"][0] == 1.0
    by_shared_words = by_words([e.text for e in examples], [e.text_pair or "" for e in examples], collection)
    assert by_shared_words[0, 0] == 0


def test_hard_negatives_are_near_and_never_right() -> None:
    examples = pairs(("q1", "a1"), ("q1", "a2"), ("q2", "b"), ("q3", "q1"))
    given = vectors((1, 0), (1, 0), (0, 1), (0, 1), (1, 0.1), (1, 0.2), (0.7, 0.7), (0.9, 0.1))
    mined = hard_negatives(examples, given, 2)
    assert mined[0] == mined[1] == ["b"]  # neither its two answers nor itself
    assert mined[2][0] == "a2"
    assert all(example.text_pair not in more for example, more in zip(examples, mined, strict=True))


def test_hard_negatives_of_many_rows_are_those_of_each_row_alone() -> None:
    rows = QUERIES_AT_ONCE + 5
    examples = pairs(*[(f"q{row // 2}", f"a{row * 7 % 400}") for row in range(rows)])
    given = np.random.default_rng(3).normal(size=(2 * rows, 3)).astype(np.float32)
    mined = hard_negatives(examples, given, 3)
    known, answers = units(given), [example.text_pair for example in examples]
    for row in (0, 1, QUERIES_AT_ONCE - 1, QUERIES_AT_ONCE, rows - 1):
        near = known[rows:] @ known[row]
        right = {pair for example, pair in zip(examples, answers, strict=True) if example.text == examples[row].text}
        order = sorted(range(rows), key=lambda place: -near[place])
        hard = [answers[i] for i in order if answers.index(answers[i]) == i and answers[i] not in right]
        assert mined[row] == [text for text in hard if near[answers.index(text)] <= 0.95 * near[row]][:3]


def test_what_stands_before_a_text_in_another_pair_is_no_negative_of_it() -> None:
    examples = pairs(("球队", "赢了"), ("比赛", "球队"), ("门票", "比赛"), ("票价", "门票"))
    given = vectors(*[(1, 0)] * 5, *[(0.9, 0.43)] * 3)
    assert hard_negatives(examples, given, 4)[0] == ["门票"]


def test_an_attempt_that_goes_on_has_the_negatives_of_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "negatives.json"
    first = mined_once(path, "a" * 64, lambda: [["银行", "bank"], []])
    assert first == [["银行", "bank"], []]
    assert mined_once(path, "a" * 64, lambda: [["others"], []]) == first
    assert mined_once(path, "b" * 64, lambda: [["others"], []]) == [["others"], []]
    path.write_text("{cut off", encoding="utf-8")
    assert mined_once(path, "b" * 64, lambda: first) == first


def test_predictions_say_what_was_found() -> None:
    examples = pairs(("q1", "a1"), ("q2", "a2"))
    given = vectors((1, 0), (1, 0), (1, 0), (0, 1))
    collection = Collection.of(identities_of(examples))
    first, second = retrieval_lines(examples, by_vectors(given, collection), collection)
    assert first == {"text": "q1", "right": ["a1"], "nearest": "a1", "rank": 1}
    assert (second["nearest"], second["rank"]) == ("a1", 2)
    labelled = [Example("a", "x"), Example("b", "y"), Example("c", "x")]
    lines = list(prediction_lines(labelled, vectors((1, 0), (0, 1), (1, 0.1))))
    assert lines[0] == {"text": "a", "label": "x", "nearest": "c", "nearest_label": "x"}
    (line,) = prediction_lines([Example("a", "0.5", "b", labels=())], vectors((1, 0), (1, 0)))
    assert line == {"text": "a", "text_pair": "b", "similarity": 0.5, "cosine": 1.0}


def test_texts_are_listed_first_texts_first() -> None:
    examples = pairs(("q1", "a1"), ("q2", "a2"))
    assert [each.text for each in singles(examples)] == ["q1", "q2", "a1", "a2"]
    assert relation_of(examples) == "pair"
    assert relation_of([Example("x", "0", "y", labels=())]) == "score"
    assert relation_of([Example("x", "label")]) == "label"
