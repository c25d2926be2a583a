"""Perturbed texts are the same for the same seed, and Chinese stays where it must."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from training.dataset import Example
from training.han import is_han
from training.report.perturbations import PERTURBATIONS, Perturbation
from training.typos import NEIGHBOURS

BY_NAME = {each.name: each for each in PERTURBATIONS}
ENGLISH = "My card was stolen - can I get a new one, please?"
CHINESE = "我的银行卡（尾号1234）被偷了，可以补办吗？"


def changed(name: str, text: str, seed: int = 0) -> str:
    return BY_NAME[name].of(Example(text, "a"), seed).text


@pytest.mark.parametrize("kind", PERTURBATIONS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("text", [ENGLISH, CHINESE, "", "好", "a", "?!", "🙂", "  "])
def test_the_same_text_and_seed_give_the_same_and_no_text_becomes_empty(kind: Perturbation, text: str) -> None:
    once = kind.of(Example(text, "a"), 3)
    assert once == kind.of(Example(text, "a"), 3)
    assert once.label == "a"
    assert bool(once.text.strip()) or not text.strip()


@pytest.mark.parametrize("kind", PERTURBATIONS, ids=lambda kind: kind.name)
def test_only_typos_and_cuts_take_chinese_characters_away(kind: Perturbation) -> None:
    before, after = (Counter(filter(is_han, text)) for text in (CHINESE, changed(kind.name, CHINESE)))
    if kind.name in {"typos", "cut in half"}:
        assert after <= before
    elif kind.name == "negation":
        assert before <= after
    else:
        assert after == before


def test_a_typo_is_a_neighbouring_key_a_swap_a_loss_or_a_letter_twice() -> None:
    seen = set()
    for seed in range(60):
        after = changed("typos", "banking", seed)
        assert after != "banking"
        if len(after) == 6:
            seen.add("loss")
            assert any("banking"[:i] + "banking"[i + 1 :] == after for i in range(7))
        elif len(after) == 8:
            seen.add("twice")
            assert any("banking"[: i + 1] + "banking"[i:] == after for i in range(7))
        elif sorted(after) == sorted("banking"):
            seen.add("swap")
        else:
            seen.add("neighbour")
            (place,) = [i for i in range(7) if after[i] != "banking"[i]]
            assert after[place] in NEIGHBOURS["banking"[place]]
    assert seen == {"loss", "twice", "swap", "neighbour"}


def test_long_texts_get_more_typos_and_other_seeds_others() -> None:
    text = "the quick brown fox jumps over the lazy dog " * 10
    assert changed("typos", text, 1) != changed("typos", text, 2)
    differing = np.mean([a != b for a, b in zip(text.split(), changed("typos", text).split(), strict=False)])
    assert differing > 0.1


def test_digits_and_punctuation_have_no_typos() -> None:
    for seed in range(20):
        after = changed("typos", "paid 12.50 at 9:30!", seed)
        assert [c for c in after if not c.isalpha() and c != " "] == list("12.509:30!")


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("upper case", "Ünter 中文 abc", "ÜNTER 中文 ABC"),
        ("lower case", "ABC 中文", "abc 中文"),
        ("no punctuation", "Top-up “now”, 请！Don't.", "Top up now 请Dont"),
        ("more punctuation", "ok", "ok!!!"),
        ("more punctuation", "好的", "好的！！！"),
        ("full width", "AB 12,中", "ＡＢ　１２，中"),
        ("half width", "ＡＢ　１２，中。", "AB 12,中。"),
        ("white space", "a b", "\n  a  b \t\n"),
        ("cut in half", "one two three", "one two"),
        ("cut in half", "今天天气很好", "今天天"),
        ("cut in half", "unbreakable", "unbrea"),
    ],
)
def test_what_each_change_makes(name: str, before: str, after: str) -> None:
    assert changed(name, before) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("The food was good.", "The food was not good."),
        ("Can you help?", "Can not you help?"),
        ("Great service", "It is not true that Great service"),
        ("It is not good and was never", "It is not good and was not never"),
        ("这家店是最好的", "这家店不是最好的"),
        ("房间有空调，可以做饭", "房间没有空调，可以做饭"),
        ("味道很好", "并非味道很好"),
    ],
)
def test_where_a_negation_goes(before: str, after: str) -> None:
    assert changed("negation", before) == after


def test_of_a_pair_both_texts_change_and_only_the_second_is_negated() -> None:
    pair = Example("It is red", "a", text_pair="It is blue")
    shouted = BY_NAME["upper case"].of(pair, 0)
    assert (shouted.text, shouted.text_pair) == ("IT IS RED", "IT IS BLUE")
    negated = BY_NAME["negation"].of(pair, 0)
    assert (negated.text, negated.text_pair) == ("It is red", "It is not blue")
