"""What a tokenizer makes of each character before it looks for pieces, as one table over all of Unicode.

BERT's normaliser and pre-tokeniser look at one character at a time: they drop it, take accents and case from it, or set it
apart. So the library itself is asked once for every code point, and nothing about Unicode is written down here. (Where the
library sorts several combining marks in a row, it keeps none of them but a handful of rare ones; the gate would tell.)
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from enum import Enum, auto

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer
from tokenizers.normalizers import Normalizer
from tokenizers.pre_tokenizers import PreTokenizer

SURROGATES = range(0xD800, 0xE000)
CHUNK = 256

SPACE = -1
NOTHING = -2
UNKNOWN = 0
"""The symbol of every character that no piece of the vocabulary has."""


class Fate(Enum):
    """What becomes of characters."""

    DROPPED = auto()
    APART = auto()
    """They get spaces around them, and are nothing else than before, as Chinese ones."""
    KEPT = auto()
    """They stay as they are, inside a word."""


def code(symbol: int, apart: bool) -> int:
    """A symbol, and whether its character is a word of its own, in one number."""
    return 2 * symbol + apart


@dataclass(frozen=True, slots=True)
class Characters:
    """`table` int64 [1 + keys, longest]: of a character the codes of what becomes of it, SPACE where words part, NOTHING behind
    the last. Row 0 is that of characters that are no key: unknown, and part of a word."""

    keys: list[str]
    table: NDArray[np.int64]
    pattern: str
    """A regular expression (RE2) of what is read: an added token or one character that is not dropped."""

    @classmethod
    def of(cls, tokenizer: Tokenizer, symbols: dict[str, int], added: dict[str, int]) -> Characters:
        """`symbols`: of each character of the vocabulary's pieces its number, from 1; `added`: the same of tokens that are cut
        out of the text."""
        # each access makes a new object
        reader = _Reader(tokenizer.normalizer, tokenizer.pre_tokenizer, symbols)
        dropped: list[int] = []
        rows: dict[str, list[int]] = {token: [code(symbol, True)] for token, symbol in added.items()}
        for start in range(0, sys.maxunicode + 1, CHUNK):
            characters = [chr(point) for point in range(start, start + CHUNK) if point not in SURROGATES]
            match reader.whole(characters):
                case Fate.DROPPED:
                    dropped += map(ord, characters)
                    continue
                case Fate.APART:
                    rows |= {each: [code(symbols.get(each, UNKNOWN), True)] for each in characters}
                    continue
                case Fate.KEPT:
                    characters = [each for each in characters if each in symbols]
            for character in characters:
                codes = reader.codes(character)
                if not codes:
                    dropped.append(ord(character))
                elif codes != [code(UNKNOWN, False)]:
                    rows[character] = codes
        longest = max(map(len, rows.values()))
        table = np.full((1 + len(rows), longest), NOTHING, np.int64)
        table[0, 0] = code(UNKNOWN, False)
        for number, codes in enumerate(rows.values(), start=1):
            table[number, : len(codes)] = codes
        return cls(list(rows), table, _pattern(list(added), dropped))


@dataclass(slots=True)
class _Reader:
    """Asks the library about single characters."""

    normalizer: Normalizer
    pre_tokenizer: PreTokenizer
    symbols: dict[str, int]
    _kinds: dict[str, int] = field(default_factory=dict)

    def whole(self, characters: list[str]) -> Fate | None:
        """What becomes of all of them, if it is the same."""
        text = _between(characters)
        normalised = self.normalizer.normalize_str(text)
        if normalised == _between([""] * len(characters)):
            return Fate.DROPPED
        if normalised == _between([f" {each} " for each in characters]):
            return Fate.APART
        ordinary = normalised == text and len(self.pre_tokenizer.pre_tokenize_str(text)) == 1
        return Fate.KEPT if ordinary else None

    def codes(self, character: str) -> list[int]:
        """Codes of what becomes of a character; empty where it is dropped."""
        normalised = self.normalizer.normalize_str(character)
        if len(normalised) == 3 and normalised[0] == normalised[2] == " ":
            # set apart by spaces
            return [code(self.symbols.get(normalised[1], UNKNOWN), True)]
        return [self._code(each) for each in normalised]

    def _code(self, normalised: str) -> int:
        known = self._kinds.get(normalised)
        if known is None:
            pieces = self.pre_tokenizer.pre_tokenize_str(f"a{normalised}a")
            symbol = self.symbols.get(normalised, UNKNOWN)
            known = {1: code(symbol, False), 2: SPACE, 3: code(symbol, True)}[len(pieces)]
            self._kinds[normalised] = known
        return known


def _between(characters: list[str]) -> str:
    """The characters between letters that no normaliser changes."""
    return f"a{'a'.join(characters)}a"


def _pattern(added: list[str], dropped: list[int]) -> str:
    ranges = "".join(f"\\x{{{first:x}}}-\\x{{{last:x}}}" for first, last in _ranges(sorted({*dropped, *SURROGATES})))
    tokens = [re.escape(token) for token in sorted(added, key=len, reverse=True)]
    return "|".join([*tokens, f"[^{ranges}]"])


def _ranges(points: list[int]) -> list[tuple[int, int]]:
    breaks = np.flatnonzero(np.diff(points) > 1)
    firsts, lasts = [0, *(breaks + 1).tolist()], [*breaks.tolist(), len(points) - 1]
    return [(points[first], points[last]) for first, last in zip(firsts, lasts, strict=True)]
