"""Words of a text and changes of their order and number.

After Wei and Zou 2019, "EDA: Easy Data Augmentation Techniques for Boosting Performance on Text Classification Tasks". In Chinese
a word is a character here. White space and punctuation are no words and stay where they are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from training.han import HAN, is_han
from training.typos import Random, typos

WORD = re.compile(rf"[{HAN}]|[^\W{HAN}]+(?:['’-][^\W{HAN}]+)*")
NEGATIONS = frozenset({"not", "no", "never", "without", "none", "cannot", "nor", *"不没无非别未勿莫"})
"""Words without which a text says the opposite, so that a copy could not keep its label."""
FUNCTION_WORDS = ENGLISH_STOP_WORDS | NEGATIONS | frozenset("的了是在和有我你他她它们这那吗呢吧啊就都也很与及或")
"""Words that no other word can stand for."""


@dataclass(frozen=True, slots=True)
class Words:
    """A text in pieces: every second one, from the second on, is a word; the others stand between them."""

    pieces: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Words:
        """The pieces of the text."""
        pieces, end = [], 0
        for found in WORD.finditer(text):
            pieces += [text[end : found.start()], found.group()]
            end = found.end()
        return cls((*pieces, text[end:]))

    @property
    def words(self) -> tuple[str, ...]:
        """In their order."""
        return self.pieces[1::2]

    def having(self, words: Sequence[str]) -> str:
        """The text with other words in their places; where a word is empty, the space around it closes."""
        pieces = list(self.pieces)
        pieces[1::2] = words
        text = "".join(pieces)
        return re.sub(r"\s{2,}", " ", text).strip() if "" in words else text


def changes_of(words: Sequence[str], probability: float) -> int:
    """How many words change: that share of them, at least one."""
    return max(1, round(probability * len(words)))


def mistyped(text: str, random: Random, probability: float) -> str:
    """As many typing mistakes as words change."""
    return typos(text, random, changes_of(Words.of(text).words, probability))


def swapped(text: str, random: Random, probability: float) -> str:
    """Pairs of words change places."""
    parts = Words.of(text)
    words = list(parts.words)
    if len(words) < 2:
        return text
    for _ in range(changes_of(words, probability)):
        one, other = random.choice(len(words), 2, replace=False).tolist()
        words[one], words[other] = words[other], words[one]
    return parts.having(words)


def shortened(text: str, random: Random, probability: float) -> str:
    """Words go, but never a negation, nor the last word that is left."""
    parts = Words.of(text)
    words = list(parts.words)
    places = [i for i, word in enumerate(words) if not is_negation(word)]
    count = min(changes_of(words, probability), len(places), len(words) - 1)
    for place in random.choice(places, count, replace=False).tolist() if count > 0 else []:
        words[place] = ""
    return parts.having(words)


def is_negation(word: str) -> bool:
    """Whether a text without it, or with another word for it, would say the opposite."""
    return word.lower() in NEGATIONS or word.lower().replace("’", "'").endswith("n't")


def replaceable(words: Sequence[str]) -> list[int]:
    """Places of the words that another can stand for: not of function words, numbers and negations."""
    return [i for i, word in enumerate(words) if word.isalpha() and word.lower() not in FUNCTION_WORDS]


def same_script(one: str, other: str) -> bool:
    """Whether both are Chinese, or both of letters below U+0250 (Latin), or both of other letters."""
    return _script(one) == _script(other)


def in_case_of(word: str, pattern: str) -> str:
    """The word in capitals, or with a capital, as `pattern` has them."""
    if len(pattern) > 1 and pattern.isupper():
        return word.upper()
    return word.capitalize() if pattern[0].isupper() else word


def _script(word: str) -> str:
    if all(map(is_han, word)):
        return "han"
    return "latin" if all(character < "\u0250" for character in word) else "other"
