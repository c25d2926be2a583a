from __future__ import annotations

import random
from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.data_settings import DataSettings
from training.dataset import Example, Split
from training.failures import UnusableData
from training.splitting import fingerprint, split

SETTINGS = DataSettings(path="rows.csv")


def rows_of(counts: dict[str, int]) -> list[Example]:
    return [Example(f"{label} text {n}", label) for label, count in counts.items() for n in range(count)]


def test_each_class_is_split_eighty_ten_ten() -> None:
    rows = rows_of({"a": 100, "b": 50, "c": 10})
    counts = {
        part: Counter(row.label for row in members)
        for part, members in split(rows, list(range(160)), SETTINGS).parts.items()
    }
    assert counts[Split.TEST] == {"a": 10, "b": 5, "c": 1}
    assert counts[Split.VALIDATION] == {"a": 10, "b": 5, "c": 1}


def test_three_rows_of_a_class_reach_all_three_splits() -> None:
    dataset = split(rows_of({"a": 30, "rare": 3}), list(range(33)), SETTINGS)
    assert all(any(row.label == "rare" for row in members) for members in dataset.parts.values())


def test_the_order_of_the_rows_does_not_matter() -> None:
    rows = rows_of({"a": 40, "b": 40})
    shuffled = rows[:]
    random.Random(1).shuffle(shuffled)
    one, other = split(rows, list(range(80)), SETTINGS), split(shuffled, list(range(80)), SETTINGS)
    assert {row.text for row in one.test} == {row.text for row in other.test}
    assert {row.text for row in one.validation} == {row.text for row in other.validation}


def test_another_seed_is_another_split() -> None:
    rows = rows_of({"a": 40, "b": 40})
    other = SETTINGS.model_copy(update={"seed": 14})
    assert {row.text for row in split(rows, list(range(80)), SETTINGS).test} != {
        row.text for row in split(rows, list(range(80)), other).test
    }


def test_one_class_alone_cannot_be_trained_on() -> None:
    with pytest.raises(UnusableData, match="every row has the label 'a'"):
        split(rows_of({"a": 10}), list(range(10)), SETTINGS)


def test_the_users_splits_are_kept_and_a_missing_validation_is_cut_from_training() -> None:
    rows = [Example(f"{label} {n}", label, split=Split.TRAIN) for label in "ab" for n in range(20)]
    rows += [Example(f"test {label}", label, split=Split.TEST) for label in "ab"]
    dataset = split(rows, list(range(42)), SETTINGS)
    assert {row.text for row in dataset.test} == {"test a", "test b"}
    assert len(dataset.validation) == 4
    assert len(dataset.train) == 36


def test_a_changed_label_changes_the_fingerprint() -> None:
    rows = [Example("t", "a", split=Split.TRAIN)]
    assert fingerprint(rows) != fingerprint([Example("t", "b", split=Split.TRAIN)])
    assert fingerprint([Example("ab", "c")]) != fingerprint([Example("a", "bc")])


@settings(max_examples=60, deadline=None)
@given(
    groups=st.lists(st.integers(0, 25), min_size=40, max_size=90),
    labels=st.lists(st.sampled_from("abc"), min_size=90, max_size=90),
    seed=st.integers(0, 5),
)
def test_every_row_lands_once_and_no_group_straddles(groups: list[int], labels: list[str], seed: int) -> None:
    rows = [Example(f"row {n}", labels[n]) for n in range(len(groups))]
    try:
        dataset = split(rows, groups, SETTINGS.model_copy(update={"seed": seed}))
    except UnusableData:
        return
    homes = defaultdict(set)
    where = {row.text: part for part, members in dataset.parts.items() for row in members}
    assert len(where) == len(rows) == sum(map(len, dataset.parts.values()))
    for row, group in zip(rows, groups, strict=True):
        homes[group].add(where[row.text])
    assert all(len(splits) == 1 for splits in homes.values())
