"""How sure a drop is, for every way of comparing."""

from __future__ import annotations

import numpy as np
import pytest

from export.comparison import Comparison, UnitScores
from export.decisions import Decisions
from export.number_comparison import NumberComparison
from export.paired_difference import drop_interval
from export.ranking_comparison import RankingComparison
from export.tag_comparison import TagComparison
from training.dataset import Entity, Example, Word
from training.intervals import bootstrap
from training.numbers import Scale

RANDOM = np.random.default_rng(5)
WORDS = (Word(0, 2, 1), Word(2, 4, 2))
SINGLE = Decisions("single_label_classification", ["a", "b", "c"], None, temperature=2.0)
MULTI = Decisions("multi_label_classification", ["a", "b", "c"], np.zeros(3, np.float32))
CASES: dict[str, tuple[Comparison, list[Example], int, int]] = {
    "single": (SINGLE, [Example("好", "abc"[n % 3]) for n in range(60)], 60, 3),
    "multi": (MULTI, [Example("x", "a", labels=("a", "b")[: n % 3]) for n in range(60)], 60, 3),
    "numbers": (
        NumberComparison(Scale(mean=0, deviation=1)),
        [Example("x", "", value=n / 9) for n in range(60)],
        60,
        1,
    ),
    "ranking": (
        RankingComparison(1.5),
        [Example(f"q{n // 6}", "", "c", value=float(n % 3 == 0)) for n in range(60)],
        10,
        1,
    ),
    "tags": (
        TagComparison(["O", "B-A", "I-A"]),
        [Example("王明去了", "", entities=(Entity(0, 4, "A"),), words=WORDS) for _ in range(30)],
        30,
        3,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_score_of_all_units_is_the_score(name: str) -> None:
    compared, examples, units, width = CASES[name]
    right = compared.right(examples)
    outputs = RANDOM.standard_normal((60, width)).astype(np.float32)
    scores = compared.unit_scores(outputs, right)
    assert scores.units == units
    assert scores.at(np.arange(units)) == pytest.approx(compared.score(outputs, right))
    twice = np.concatenate([np.arange(units)] * 2)
    assert scores.at(twice) == pytest.approx(compared.score(outputs, right))


@pytest.mark.parametrize("name", CASES)
def test_a_variant_that_answers_alike_loses_nothing_for_sure(name: str) -> None:
    compared, examples, _, width = CASES[name]
    outputs = RANDOM.standard_normal((60, width)).astype(np.float32)
    scores = compared.unit_scores(outputs, compared.right(examples))
    assert drop_interval(scores, scores) == (0.0, 0.0)


def scores_of(hits: np.ndarray) -> UnitScores:
    return UnitScores(len(hits), lambda at: float(hits[at].mean()))


def test_the_interval_of_a_paired_difference_is_that_of_the_rows_that_differ() -> None:
    rows = 1_000
    before = np.arange(rows) % 10 > 0
    after = before.copy()
    after[1:13] = False  # 12 right answers lost
    after[20:50:10] = True  # 3 won
    low, high = drop_interval(scores_of(before), scores_of(after)) or (0.0, 0.0)
    # of 15 rows that differ: the normal approximation of the mean of +1, -1 and 0
    half = 1.96 * 100 * np.sqrt((15 / rows - 0.008**2) / rows)
    lost = 100 * (before.mean() - after.mean())
    assert (low, high) == pytest.approx((lost - half, lost + half), abs=0.15)
    apart = bootstrap(rows, lambda at: {"score": 100 * float(before[at].mean())})["score"]
    assert high - low < 0.5 * (apart[1] - apart[0])


def test_of_no_units_nothing_is_said() -> None:
    assert drop_interval(scores_of(np.empty(0)), scores_of(np.empty(0))) is None


def test_calibration_is_measured_at_the_temperature_of_the_run() -> None:
    right = SINGLE.right([Example("x", "a")] * 10)
    sure = np.array([[9.0, 0, 0]] * 10, np.float32)
    # softmax(4.5, 0, 0)
    assert SINGLE.calibration_error(sure, right) == pytest.approx(1 - 1 / (1 + 2 * np.exp(-4.5)))
    many = MULTI.right([Example("x", "a", labels=("a", "b", "c"))] * 10)
    assert MULTI.calibration_error(np.zeros((10, 3), np.float32), many) == pytest.approx(0.5)
    assert CASES["numbers"][0].calibration_error(np.zeros((60, 1), np.float32), np.zeros(60)) is None
