"""Scripts of letters, such as Latin, Cyrillic or Chinese characters, and which of them texts are written in."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import lru_cache

SCRIPTS = {
    **{
        name.upper(): name
        for name in (
            *(
                "Arabic",
                "Armenian",
                "Bengali",
                "Bopomofo",
                "Cherokee",
                "Cyrillic",
                "Devanagari",
                "Ethiopic",
                "Georgian",
            ),
            *("Glagolitic", "Gothic", "Greek", "Gujarati", "Gurmukhi", "Hangul", "Hebrew", "Hiragana", "Kannada"),
            *("Katakana", "Khmer", "Lao", "Malayalam", "Mongolian", "Myanmar", "Oriya", "Sinhala", "Syriac", "Tamil"),
            *("Telugu", "Thaana", "Thai", "Tibetan"),
        )
    },
    "CJK": "Han",
    "KANGXI": "Han",
}
"""First word of a letter's Unicode name -> its script. What is not here, Latin above all, belongs to every text."""


@lru_cache(maxsize=200_000)
def scripts_of(character: str) -> frozenset[str]:
    """The script of a character, as compatibility and canonical decomposition show it; none for Latin, digits and punctuation."""
    found = set()
    for part in unicodedata.normalize("NFKD", character):
        if unicodedata.category(part)[0] in "LM":
            script = SCRIPTS.get(unicodedata.name(part, "").split(" ")[0])
            if script is not None:
                found.add(script)
    return frozenset(found)


def scripts_in(texts: Iterable[str]) -> frozenset[str]:
    """All scripts that have a letter in the texts."""
    characters = set().union(*map(set, texts))
    return frozenset().union(*map(scripts_of, characters))
