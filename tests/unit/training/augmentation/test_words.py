"""Changes of words: by the seed alone, Chinese by characters, and never such that a text says the opposite."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from training.augmentation.words import (
    Words,
    changes_of,
    in_case_of,
    mistyped,
    replaceable,
    same_script,
    shortened,
    swapped,
)
from training.han import is_han
from training.typos import Random

ENGLISH = "My card was stolen yesterday, can I get a new one from you?"
CHINESE = "我的银行卡（尾号1234）被偷了，可以补办吗？"
CHANGES = (mistyped, swapped, shortened)


def by(change: Callable[[str, Random, float], str], text: str, seed: int = 0, probability: float = 0.2) -> str:
    return change(text, np.random.default_rng(seed), probability)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("text", [ENGLISH, CHINESE])
def test_a_change_is_one_and_is_the_same_for_the_same_seed(
    change: Callable[[str, Random, float], str], text: str
) -> None:
    once = by(change, text)
    assert once != text
    assert once == by(change, text)
    assert len({by(change, text, seed) for seed in range(8)}) > 3


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("text", ["", "好", "a", "?!", "🙂"])
def test_a_text_of_one_word_or_none_stays_one(change: Callable[[str, Random, float], str], text: str) -> None:
    assert by(change, text) == text


@pytest.mark.parametrize("change", CHANGES)
def test_no_chinese_character_becomes_another(change: Callable[[str, Random, float], str]) -> None:
    before = Counter(filter(is_han, CHINESE))
    for seed in range(20):
        after = Counter(filter(is_han, by(change, CHINESE, seed)))
        assert after <= before
        if change is swapped:
            assert after == before


def test_words_are_found_with_apostrophes_and_chinese_by_characters() -> None:
    assert Words.of("Don't pay 12, 中文ok").words == ("Don't", "pay", "12", "中", "文", "ok")
    for text in (ENGLISH, CHINESE, " spaced  out "):
        assert Words.of(text).having(Words.of(text).words) == text


def test_swaps_keep_the_words_and_punctuation_stays_where_it_is() -> None:
    after = by(swapped, ENGLISH)
    assert sorted(Words.of(after).words) == sorted(Words.of(ENGLISH).words)
    assert after.endswith("?")
    assert after.count(",") == 1


def test_of_eleven_words_a_fifth_go_and_no_gap_is_left() -> None:
    text = "one two three four five six seven eight nine ten eleven"
    assert changes_of(text.split(), 0.2) == 2
    after = by(shortened, text)
    assert len(after.split(" ")) == 9
    assert "  " not in after


@pytest.mark.parametrize("text", ["this is not good", "这个不好", "I don't like it", "I don’t like it"])
def test_a_negation_never_goes(text: str) -> None:
    for seed in range(30):
        after = by(shortened, text, seed, 0.5)
        assert any(word in after for word in ("not", "不", "don't", "don’t"))


def test_a_text_of_negations_loses_nothing() -> None:
    assert by(shortened, "not never", 0, 0.5) == "not never"


def test_function_words_numbers_and_negations_are_not_replaced() -> None:
    words = Words.of("I can not get the 20 cards 不要了").words
    assert [words[i] for i in replaceable(words)] == ["cards", "要"]


def test_scripts_are_told_apart_and_capitals_kept() -> None:
    assert same_script("card", "café")
    assert not same_script("card", "卡")
    assert not same_script("card", "карта")
    assert in_case_of("money", "Cash") == "Money"
    assert in_case_of("money", "CASH") == "MONEY"
    assert in_case_of("money", "cash") == "money"
