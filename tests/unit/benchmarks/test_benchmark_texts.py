from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.texts import Deck, NoTexts, grouped, read_texts


def test_a_csv_gives_its_distinct_texts_in_order(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(
        'label,text\na,"one, two"\nb,银行卡丢了\na,"one, two"\nb,  \nc,"two\nlines"\n', encoding="utf-8-sig"
    )
    assert read_texts(file) == ["one, two", "银行卡丢了", "two\nlines"]


def test_json_lines_may_hold_pairs(tmp_path: Path) -> None:
    file = tmp_path / "test.jsonl"
    file.write_text(
        '{"text": "卡在哪", "label": "a"}\n{"text": "q", "text_pair": "p", "label": "b"}\n{"text": "q", "label": "b"}\n',
        encoding="utf-8",
    )
    assert read_texts(file) == ["卡在哪", ("q", "p"), "q"]


@pytest.mark.parametrize("content", [None, "sentence,label\nhello,a\n", "text\n", "text\n   \n"])
def test_a_file_without_texts_is_refused_by_name(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "rows.csv"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(NoTexts, match=r"rows\.csv"):
        read_texts(file)


@given(st.integers(1, 50), st.integers(1, 4))
def test_nothing_is_dealt_again_before_everything_was(size: int, rounds: int) -> None:
    dealt = list(islice(Deck(size).deal(), size * rounds))
    for start in range(0, len(dealt), size):
        assert sorted(dealt[start : start + size]) == list(range(size))


def test_each_deal_is_another_order_and_each_deck_the_same() -> None:
    deck, again = Deck(100), Deck(100)
    first, second = deck.hand(100), deck.hand(100)
    assert first != second
    assert [again.hand(100), again.hand(100)] == [first, second]


@given(st.integers(1, 60), st.integers(1, 8))
def test_groups_are_full_and_share_no_text(count: int, size: int) -> None:
    if count < size:
        with pytest.raises(NoTexts, match="--texts"):
            grouped(count, size)
        return
    groups = grouped(count, size)
    numbers = [number for group in groups for number in group]
    assert {len(group) for group in groups} == {size}
    assert len(groups) == count // size
    assert len(set(numbers)) == len(numbers)
    assert set(numbers) <= set(range(count))
