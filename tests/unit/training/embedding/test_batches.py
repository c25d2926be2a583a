"""Orders of an epoch: nothing that belongs together is told apart, and a resumed run goes on with the same batches."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.dataset import Example
from training.embedding.batches import DistinctBatches, LabelBatches, ShuffledBatches
from training.epoch_batches import EpochBatches

TEXTS = st.sampled_from(["a", "b", "c", "d", "e", "球队", "银行", "芯片"])
PAIRS = st.lists(st.tuples(TEXTS, TEXTS, st.none() | TEXTS), min_size=1, max_size=40)


def epoch(batches: EpochBatches, number: int) -> list[list[int]]:
    batches.set_epoch(number)
    return list(batches)


@given(PAIRS, st.integers(2, 9), st.integers(0, 3))
def test_no_text_of_a_batch_is_told_from_one_it_belongs_with(
    rows: list[tuple[str, str, str | None]], size: int, number: int
) -> None:
    examples = [Example(text, "", pair, labels=()) for text, pair, _ in rows]
    negatives = [[negative] if negative else [] for _, _, negative in rows]
    batches = DistinctBatches(examples, negatives, size, 13)
    made = epoch(batches, number)
    assert len(made) == len(batches)
    assert made[0]
    flat = [row for batch in made for row in batch]
    assert len(set(flat)) == len(flat)
    sides = [(first, other) for one, two, _ in rows for first, other in ((one, two), (two, one))]
    partners = {text: {other for first, other in sides if first == text} for text, _, _ in rows}
    for batch in made:
        assert len(batch) <= size
        for row in batch:
            text = rows[row][0]
            others = [each for mate in batch if mate != row for each in (rows[mate][1], *negatives[mate])]
            assert not (partners[text] | {text}) & set(others)


def test_pairs_bind_in_both_directions() -> None:
    """(a, b) and (d, c) must not meet where (c, a) says that a and c belong together."""
    examples = [Example(one, "", other, labels=()) for one, other in (("a", "b"), ("c", "a"), ("d", "c"))]
    batches = DistinctBatches(examples, [[]] * 3, 3, 13)
    assert all(len(batch) == 1 for number in range(10) for batch in epoch(batches, number))


def test_pairs_without_a_text_in_common_are_all_seen_in_batches_of_one_size() -> None:
    examples = [Example(f"question {n}", "", f"answer {n}", labels=()) for n in range(40)]
    made = epoch(DistinctBatches(examples, [[]] * 40, 32, 13), 0)
    assert [len(batch) for batch in made] == [20, 20]
    assert sorted(row for batch in made for row in batch) == list(range(40))


@pytest.mark.parametrize("rows", [20, 101, 109, 110])
def test_no_batch_is_smaller_than_another_by_more_than_one_row(rows: int) -> None:
    pairs = [Example(f"问题 {n}", "", f"答案 {n}", labels=()) for n in range(rows)]
    orders: list[EpochBatches] = [
        ShuffledBatches(rows, 10, 13),
        DistinctBatches(pairs, [[]] * rows, 10, 13),
        LabelBatches([label for label in map(str, range(rows)) for _ in range(2)], 20, 13),
    ]
    for batches in orders:
        made = epoch(batches, 1)
        apart = 2 if isinstance(batches, LabelBatches) else 1
        sizes = [len(batch) // apart for batch in made]
        assert sum(sizes) == rows
        assert max(sizes) - min(sizes) <= 1
        assert len(sizes) == len(batches) == -(-rows // 10)


def test_an_order_is_a_function_of_seed_and_epoch() -> None:
    examples = [Example(f"q{n}", "", f"a{n // 3}", labels=()) for n in range(50)]
    one, other = (DistinctBatches(examples, [[]] * 50, 8, 13) for _ in range(2))
    first = epoch(one, 0)
    assert epoch(one, 1) != first
    assert epoch(other, 1) == epoch(one, 1)
    assert epoch(one, 0) == first
    assert epoch(DistinctBatches(examples, [[]] * 50, 8, 14), 0) != first


def test_a_row_that_fits_nowhere_comes_in_another_epoch() -> None:
    examples = [Example(f"q{n}", "", "the one answer", labels=()) for n in range(12)]
    batches = DistinctBatches(examples, [[]] * 12, 4, 13)
    made = [epoch(batches, number) for number in range(30)]
    assert {len(each) for each in made} == {3}
    assert {row for each in made for batch in each for row in batch} == set(range(12))


@given(st.lists(st.sampled_from("abcde"), min_size=1, max_size=50), st.integers(2, 9))
def test_every_text_of_a_batch_has_another_of_its_label(labels: list[str], size: int) -> None:
    batches = LabelBatches(labels, size, 13)
    if batches.groups == 0:
        return
    made = epoch(batches, 2)
    assert len(made) == len(batches)
    for batch in made:
        assert len(batch) <= max(2, size)
        given_labels = [labels[row] for row in batch]
        assert all(given_labels.count(label) >= 2 for label in given_labels)
    flat = [row for batch in made for row in batch]
    assert len(flat) == len(set(flat)) == 2 * batches.groups


def test_shuffled_batches_hold_every_row_once() -> None:
    made = epoch(ShuffledBatches(11, 4, 13), 0)
    assert [len(batch) for batch in made] == [4, 4, 3]
    assert sorted(row for batch in made for row in batch) == list(range(11))
