"""Golden rows are chosen to differ: in length, and in script where there are two."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.golden_rows import MOST, golden_rows
from export.rows import Row, tokenize
from tests.fakes.tiny_words import tiny_tokenizer
from training.dataset import Example


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    tiny_tokenizer().save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


def rows(tokenizer: Path, *texts: str) -> list[Row]:
    return tokenize([Example(text, "") for text in texts], tokenizer, 32)


def test_the_shortest_and_the_longest_are_among_them(tokenizer: Path) -> None:
    texts = [" ".join(["bank"] * (1 + number * 7 % 23)) for number in range(23)]
    found = golden_rows(rows(tokenizer, *texts), tokenizer)
    lengths = [len(row.ids) for row in found]
    assert len(found) == MOST
    assert (lengths[0], lengths[-1]) == (3, 25)
    assert lengths == sorted(set(lengths))


def test_one_chinese_text_among_many_is_taken(tokenizer: Path) -> None:
    texts = [" ".join(["goal"] * (2 + number)) for number in range(20)]
    all_rows = rows(tokenizer, *texts, "银行股市")
    found = golden_rows(all_rows, tokenizer)
    assert all_rows[-1] in found
    assert len(found) == MOST
    assert [len(row.ids) for row in found][-1] == 23


def test_few_rows_are_all_taken(tokenizer: Path) -> None:
    some = rows(tokenizer, "goal bank rate", "球")
    assert golden_rows(some, tokenizer) == [some[1], some[0]]
    assert golden_rows(some[:1], tokenizer) == some[:1]
