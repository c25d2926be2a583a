"""Small changes of a text, such as users make them. Each is a function of the text and a random generator alone.

After the checklist of Ribeiro, Wu, Guestrin, Singh 2020, "Beyond Accuracy: Behavioral Testing of NLP Models with CheckList".
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from zlib import crc32

import numpy as np

from training.dataset import Example
from training.han import is_han
from training.typos import Random, typos

EMOJI = ("🙂", "😀", "👍", "🙏", "😢", "🤔")
FULL_WIDTH = {**{code: code + 0xFEE0 for code in range(0x21, 0x7F)}, 0x20: 0x3000}
HALF_WIDTH = {full: half for half, full in FULL_WIDTH.items()}
AUXILIARY = re.compile(
    r"\b(am|is|are|was|were|can|could|will|would|should|may|might|must|do|does|did|has|have|had)\b(?! not|n['’]t)",
    re.IGNORECASE,
)
NEGATED = (
    ("有", "没有"),
    ("是", "不是"),
    ("会", "不会"),
    ("能", "不能"),
    ("可以", "不可以"),
    ("应", "不应"),
    ("要", "不要"),
)
"""Chinese words and their negation; the one that occurs first in a text is used."""


@dataclass(frozen=True, slots=True)
class Perturbation:
    """One kind of change. Those that keep the meaning should not change the answer."""

    name: str
    what: str
    keeps_meaning: bool
    change: Callable[[str, Random], str]
    second_alone: bool = False
    """Of a pair only the second text is changed."""

    def of(self, example: Example, seed: int) -> Example:
        """The example with its text changed, or its two texts.

        The same for the same text and seed, whatever other rows there are.
        """
        random = np.random.default_rng([seed, crc32(self.name.encode()), crc32(example.text.encode())])
        pair = example.text_pair
        if pair is None:
            return replace(example, text=self.change(example.text, random))
        text = example.text if self.second_alone else self.change(example.text, random)
        return replace(example, text=text, text_pair=self.change(pair, random))


def without_punctuation(text: str, _: Random) -> str:
    """Dashes become spaces, other punctuation goes; a text of nothing else stays."""
    kept = []
    for character in text:
        category = unicodedata.category(character)
        kept.append(" " if category == "Pd" else "" if category.startswith("P") else character)
    return "".join(kept) if "".join(kept).strip() else text


def with_exclamations(text: str, _: Random) -> str:
    """Three exclamation marks behind it, full-width after Chinese."""
    return text + ("！！！" if any(map(is_han, text)) else "!!!")


def full_width(text: str, _: Random) -> str:
    """ASCII as the full-width forms of Chinese keyboards; Chinese stays."""
    return text.translate(FULL_WIDTH)


def half_width(text: str, _: Random) -> str:
    """Full-width letters, digits and punctuation as ASCII; Chinese characters, and marks without such a form, stay."""
    return text.translate(HALF_WIDTH)


def spaced(text: str, _: Random) -> str:
    """White space around it, and two spaces for one."""
    return "\n  " + text.replace(" ", "  ") + " \t\n"


def with_emoji(text: str, random: Random) -> str:
    """One emoji behind it."""
    return f"{text} {EMOJI[int(random.integers(len(EMOJI)))]}"


def negated(text: str, _: Random) -> str:
    """A negation in the first place that takes one, else before the text; often not what a person would have written."""
    if any(map(is_han, text)):
        found = [(text.index(word), word, negation) for word, negation in NEGATED if word in text]
        if not found:
            return f"并非{text}"
        place, word, negation = min(found)
        return text[:place] + negation + text[place + len(word) :]
    place_after = AUXILIARY.search(text)
    if place_after is None:
        return f"It is not true that {text}"
    return f"{text[: place_after.end()]} not{text[place_after.end() :]}"


def halved(text: str, _: Random) -> str:
    """The first half of its characters, back to the end of a word where that would be cut."""
    cut = math.ceil(len(text) / 2)
    if cut < len(text) and not is_han(text[cut]) and text[cut - 1].isalnum() and text[cut].isalnum():
        space = text.rfind(" ", 0, cut)
        cut = space if space > 0 else cut
    return text[:cut]


PERTURBATIONS = (
    Perturbation(
        "typos",
        "a wrong key, a swap, a lost or a doubled letter in about 15 letters; in Chinese a swap or a loss",
        True,
        typos,
    ),
    Perturbation("lower case", "all letters", True, lambda text, _: text.lower()),
    Perturbation("upper case", "all letters", True, lambda text, _: text.upper()),
    Perturbation("no punctuation", "all of it left out", True, without_punctuation),
    Perturbation("more punctuation", "three exclamation marks at the end", True, with_exclamations),
    Perturbation("full width", "ASCII letters, digits and punctuation in full-width forms", True, full_width),
    Perturbation("half width", "full-width letters, digits and punctuation as ASCII", True, half_width),
    Perturbation("white space", "around the text, and doubled inside", True, spaced),
    Perturbation("emoji", "one at the end", True, with_emoji),
    Perturbation("cut in half", "only the first half of the text", False, halved),
    Perturbation(
        "negation",
        "a “not” put in; whether the label should change depends on the task",
        False,
        negated,
        second_alone=True,
    ),
)
