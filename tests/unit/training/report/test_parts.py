"""Slices count right, mistakes are ordered by their confidence, and what stands out is said."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from training.dataset import Example
from training.report.answers import Answers
from training.report.attention import attention
from training.report.contents import ClassScores, Perturbed, Robustness
from training.report.mistakes import confusions, matrix, mistakes, worst_decisions
from training.report.slices import FEW_ROWS, quartiles, script, slices
from training.report.wording import METHODS
from training.run import RunRecord
from training.settings import Method

LABELS = ["a", "b", "c"]


def single(probabilities: list[list[float]], right: list[int]) -> Answers:
    values = np.array(probabilities)
    every = np.arange(values.shape[1])
    return Answers(LABELS, False, values, values.argmax(axis=1)[:, None] == every, np.array(right)[:, None] == every)


def several(probabilities: list[list[float]], right: list[list[int]]) -> Answers:
    values = np.array(probabilities)
    return Answers(LABELS, True, values, values >= 0.5, np.array(right) > 0)


SINGLE = single([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.95, 0.0, 0.05], [0.1, 0.3, 0.6]], [0, 0, 2, 2])
SEVERAL = several([[0.9, 0.8, 0.1], [0.2, 0.1, 0.05], [0.6, 0.4, 0.7]], [[1, 1, 0], [1, 0, 0], [0, 1, 1]])
ROWS = [Example(f"text {number}", "x") for number in range(4)]


def test_scores_are_accuracy_and_micro_f1() -> None:
    assert SINGLE.score == 0.5
    # three labels given rightly, one wrongly, two missed
    assert SEVERAL.score == pytest.approx(2 * 3 / (2 * 3 + 1 + 2))
    low, high = SINGLE.interval
    assert 0.0 <= low <= 0.5 <= high <= 1.0


def test_the_surest_mistake_comes_first() -> None:
    assert worst_decisions(SINGLE) == [(2, 0), (1, 1)]
    found = mistakes(ROWS, SINGLE)
    assert [(each.line, each.truth, each.predicted, each.probability) for each in found] == [
        (3, ["c"], ["a"], 0.95),
        (2, ["a"], ["b"], 0.7),
    ]


def test_of_several_labels_a_missed_one_is_a_mistake_as_sure_as_its_absence_was_stated() -> None:
    assert worst_decisions(SEVERAL) == [(1, 0), (2, 0)]
    first, second = mistakes(ROWS[:3], SEVERAL)
    assert (first.truth, first.predicted, first.probability) == (["a"], [], pytest.approx(0.8))
    assert (second.truth, second.predicted, second.probability) == (["c", "b"], ["c", "a"], pytest.approx(0.6))


def test_confused_pairs_are_counted_with_their_reverse() -> None:
    assert matrix(SINGLE) == [[1, 1, 0], [0, 0, 0], [1, 0, 1]]
    found = {(each.truth, each.predicted): (each.count, each.share, each.reverse) for each in confusions(SINGLE)}
    assert found == {("a", "b"): (1, 0.5, 0), ("c", "a"): (1, 0.5, 0)}
    assert matrix(SEVERAL) is None
    assert [(each.truth, each.predicted, each.count) for each in confusions(SEVERAL)] == [("b", "a", 1)]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Goals and 12 matches!", "Latin"),
        ("球队赢了第3场", "Han"),
        ("用iPhone打开app", "mixed"),
        ("1234 !?", "other"),
        ("привет", "other"),
    ],
)
def test_the_script_of_a_text(text: str, name: str) -> None:
    assert script(text) == name


def test_quartiles_are_ranges_that_hold_all_rows() -> None:
    found = quartiles(list(range(1, 101)), limit=100)
    assert [found.count(each) for each in dict.fromkeys(found)] == [25, 25, 25, 25]
    assert list(dict.fromkeys(found)) == ["1 to 25", "26 to 50", "51 to 75", "76 to 100 (where texts are cut)"]
    assert set(quartiles([7] * 20, limit=64)) == {"1 to 7"}


def test_slices_count_rows_and_mark_those_of_few() -> None:
    rows = [
        Example(
            "球队" if number % 4 == 0 else "team", "a", extra={"shop": "x" if number < 60 else "", "id": str(number)}
        )
        for number in range(80)
    ]
    right = [0] * 70 + [1] * 10
    given = single([[0.8, 0.1, 0.1]] * 80, right)
    groups = {each.name: each.slices for each in slices(rows, given, [5] * 80, 64)}
    assert set(groups) == {"column “shop”", "script"}
    shop = {each.value: each for each in groups["column “shop”"]}
    assert (shop["x"].rows, shop["x"].score.value, shop["x"].few) == (60, 1.0, False)
    assert (shop["(empty)"].rows, shop["(empty)"].score.value) == (20, 0.5)
    assert shop["(empty)"].few and shop["(empty)"].rows < FEW_ROWS and shop["(empty)"].score.interval is None
    assert {each.value: each.rows for each in groups["script"]} == {"Latin": 60, "Han": 20}


def test_what_stands_out_is_said_and_a_negation_is_not_judged() -> None:
    record = RunRecord.model_construct(
        task="single_label_classification", metrics={"test": {"accuracy": 0.9, "calibration_error": 0.2}}
    )
    weak = ClassScores(label="weak", precision=0.2, recall=0.2, f1=0.2, train_rows=9, test_rows=5, threshold=None)

    def perturbed(name: str, keeps_meaning: bool, flips: int) -> Perturbed:
        return Perturbed(
            name=name, what="", keeps_meaning=keeps_meaning, rows=100, before=0.9, after=0.7, flips=flips, example=None
        )

    robust = Robustness(
        rows=100,
        title="accuracy",
        perturbations=[perturbed("typos", True, 30), perturbed("emoji", True, 1), perturbed("negation", False, 60)],
    )
    found = " ".join(attention(record, 0.9, [weak], [], robust))
    assert "weak (20.0 %)" in found
    assert "“typos” 30.0 %" in found
    assert "off by 20.0 %" in found
    assert "emoji" not in found and "negation" not in found
    assert "was 90.0 % after training" in " ".join(attention(record, 0.8, [], [], None))
    assert "after training" not in found


def test_every_method_has_its_words() -> None:
    assert METHODS.keys() == set(get_args(Method))
