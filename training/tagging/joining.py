"""Tokens become the text that a user would have written."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

CLOSING = frozenset(".,!?;:%)]}")
OPENING = frozenset("([{")
SPACELESS = ("CJK", "HIRAGANA", "KATAKANA", "FULLWIDTH", "IDEOGRAPHIC", "BOPOMOFO", "THAI", "LAO", "KHMER", "MYANMAR")
"""First words of the Unicode names of characters that are written without spaces around them."""
SPACELESS_MARKS = frozenset("“”‘’…—·￥")
"""Punctuation of Chinese texts that Unicode does not name after them."""


def joined(tokens: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """The text, and the characters [start, end) of each token in it.

    Chinese stands without spaces, and so does all else in a sentence that was annotated character by character; other tokens
    are parted by a space, but for punctuation. A token of white space is a space.
    """
    by_character = all(len(token) == 1 for token in tokens) and any(map(_spaceless, tokens))
    text = ""
    places = []
    for token in tokens:
        if not token.strip():
            text += "" if text.endswith(" ") else " "
            places.append((len(text), len(text)))
            continue
        if text and not by_character and _parted(text[-1], token[0], len(token) == 1):
            text += " "
        places.append((len(text), len(text) + len(token)))
        text += token
    return text, places


def _parted(left: str, right: str, alone: bool) -> bool:
    """Whether a space stands between the last character of a text and the first of the next token."""
    if left == " " or left in OPENING or (alone and right in CLOSING):
        return False
    return not (_spaceless(left) or _spaceless(right))


def _spaceless(character: str) -> bool:
    if character.isascii():
        return False
    return character in SPACELESS_MARKS or unicodedata.name(character, "").startswith(SPACELESS)
