from __future__ import annotations

import random
from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from training.audit.folds import Folds, make_folds
from training.audit.settings import AuditSettings, audit_settings
from training.dataset import Example
from training.failures import InvalidSettings, UnusableData


def configured(folds: int = 5) -> AuditSettings:
    return audit_settings({"name": "toy", "folds": folds}, {"path": "rows.csv"})


def rows_of(counts: dict[str, int]) -> list[Example]:
    return [Example(f"{label} text {n}", label) for label, count in counts.items() for n in range(count)]


def fold_by_text(folds: Folds) -> dict[str, int]:
    return {example.text: int(fold) for example, fold in zip(folds.examples, folds.fold, strict=True)}


def test_every_fold_has_its_share_of_every_class() -> None:
    rows = rows_of({"a": 100, "b": 50, "c": 5})
    folds = make_folds(rows, list(range(155)), configured())
    counts = Counter((row.label, int(fold)) for row, fold in zip(folds.examples, folds.fold, strict=True))
    assert all(counts["a", fold] == 20 and counts["b", fold] == 10 and counts["c", fold] == 1 for fold in range(5))


@given(groups=st.lists(st.integers(0, 30), min_size=60, max_size=60), count=st.integers(2, 5))
@hypothesis_settings(max_examples=50, deadline=None)
def test_look_alikes_never_straddle_two_folds(groups: list[int], count: int) -> None:
    rows = rows_of({"a": 30, "b": 30})
    try:
        folds = make_folds(rows, groups, configured(count))
    except UnusableData:
        return  # nearly everything looks alike
    found = fold_by_text(folds)
    straddled: dict[int, set[int]] = defaultdict(set)
    for row, group in zip(rows, groups, strict=True):
        if row.text in found:
            straddled[group].add(found[row.text])
    assert all(len(each) == 1 for each in straddled.values())


def test_the_order_of_the_rows_does_not_matter() -> None:
    rows = rows_of({"a": 20, "b": 23})
    shuffled = random.Random(1).sample(rows, len(rows))
    one = make_folds(rows, list(range(43)), configured())
    other = make_folds(shuffled, list(range(43)), configured())
    assert {frozenset(t for t, f in fold_by_text(one).items() if f == k) for k in range(5)} == {
        frozenset(t for t, f in fold_by_text(other).items() if f == k) for k in range(5)
    }


def test_a_class_whose_rows_all_look_alike_is_left_out_and_named() -> None:
    rows = rows_of({"a": 10, "b": 10, "same": 4})
    folds = make_folds(rows, [*range(20), 20, 20, 20, 20], configured())
    assert folds.left_out == {"same": 4}
    assert folds.labels == ["a", "b"]
    assert len(folds.examples) == len(folds.truth) == len(folds.fold) == 20


@pytest.mark.parametrize(
    ("rows", "groups", "message"),
    [
        (rows_of({"a": 9}), list(range(9)), r"rows\.csv: every row has the label 'a'.*two labels"),
        (rows_of({"a": 2, "b": 2}), list(range(4)), r"4 distinct rows.*too few for 5 folds.*--folds"),
        (
            rows_of({"a": 9, "b": 9}),
            [*range(9), *[9] * 9],
            "fewer than two labels have rows that do not all look alike",
        ),
    ],
)
def test_data_that_cannot_be_audited_is_refused_with_the_reason(
    rows: list[Example], groups: list[int], message: str
) -> None:
    with pytest.raises(UnusableData, match=message):
        make_folds(rows, groups, configured())


def test_a_wrong_setting_is_named() -> None:
    with pytest.raises(InvalidSettings, match=r"folds.*greater than or equal to 2"):
        configured(1)
    with pytest.raises(InvalidSettings, match="name"):
        audit_settings({"name": "../up"}, {"path": "rows.csv"})
