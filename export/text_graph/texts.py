"""Texts that a tokenizer in a graph is tried on: those that such tokenizers get wrong, and thousands drawn at random."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

AWKWARD = (
    "",
    " ",
    "\t\n\r ",
    "\x00\x01\x7f",
    "a\x00b",
    "Hello, World!",
    "it's unaffordable… isn't it?",
    "naïve Café ÀÉÎ ñ Å",
    "e\u0301 a\u0308o\u0302\u0301 n\u0303",
    "İstanbul ß ẞ ﬁ Ⅷ ª ½",
    "球队赢得了比赛。",
    "中文abc字English混合，标点！",
    "我们在2024年卖了3.5万部手机",
    "ひらがな カタカナ 한국어 ไทย العربية עברית हिन्दी",
    "豈更車 丽丸",
    "😀 smile 👨‍👩‍👧 👍🏽 🇨🇳 ❤️",
    "a\u200bb\u200dc\ufeffd\u00ade",
    "a\u3000b\u00a0c\u2028d\u2029e\u0085f",
    "\u202eright to left\u202c",
    "\ufffd \ue000 \U0010ffff \U000e0001",
    "https://example.com/a?b=c&d=%20#top me@example.com",
    "$5.00 + €7 = ¥? 100% ~ ^ ` | <b> \\ / _under_score_",
    "[CLS] a[SEP]b [MASK] [UNK] [PAD] [sep] [ CLS]",
    "##s ## #tag ##ing",
    "«quoted» “quoted” 「引用」『引用』（括号）",
)
DRAWN = 4_000
SEED = 29
RANGES = ((0x20, 0x7F), (0x00, 0x3000), (0x4E00, 0xA000), (0x3000, 0x10000), (0x10000, 0x110000))
"""Of code points, each as likely as the others: ASCII, alphabets, Han, the rest of the first plane, the other planes."""
LONGEST = 60
"""Parts of a drawn text."""


def proving_texts(vocabulary: Sequence[str], added: Sequence[str], max_length: int, count: int = DRAWN) -> list[str]:
    """Awkward texts, texts that are too long in several ways, and `count` that are drawn from the tokenizer's own pieces, from
    characters of all of Unicode, and from its special tokens."""
    random = np.random.default_rng(SEED)
    many = 3 * max_length
    long = [
        "word " * many,
        "字" * many,
        "x" * 99,
        "x" * 100,
        "x" * 101,
        "x" * 5_000,
        "." * many,
        "a." * many,
        "😀" * many,
    ]
    drawn = []
    for _ in range(count):
        parts = random.integers(0, LONGEST)
        drawn.append("".join(_part(random, vocabulary, added) for _ in range(parts)))
    return [*AWKWARD, *long, *drawn]


def _part(random: np.random.Generator, vocabulary: Sequence[str], added: Sequence[str]) -> str:
    kind = random.random()
    if kind < 0.25:
        return " "
    if kind < 0.5:
        return vocabulary[int(random.integers(len(vocabulary)))].removeprefix("##")
    if kind < 0.51 and added:
        return added[int(random.integers(len(added)))]
    low, high = RANGES[int(random.integers(len(RANGES)))]
    point = int(random.integers(low, high))
    return chr(point) if not 0xD800 <= point < 0xE000 else "é"
