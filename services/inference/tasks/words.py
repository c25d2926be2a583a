"""The words of a text, from the tokens of its windows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from services.inference.prediction import Reading, Span


@dataclass(slots=True)
class Word:
    """A word of the text: its characters in code points, and where its first token is read best."""

    start: int
    end: int
    window: int
    token: int


def words_of(reading: Reading) -> list[Word]:
    """Words in the order of the text. A word in several windows belongs to that in which it is farthest from an edge."""
    found: dict[int, Word] = {}
    margins: dict[int, int] = {}
    for window, token, number, (start, end), margin in _tokens(reading):
        word = found.get(number)
        if word is None:
            found[number] = Word(start, end, window, token)
            margins[number] = margin
            continue
        if start <= word.start and (start < word.start or margin > margins[number]):
            word.window, word.token = window, token
            margins[number] = margin
        word.start, word.end = min(word.start, start), max(word.end, end)
    return sorted(found.values(), key=lambda word: word.start)


def _tokens(reading: Reading) -> Iterator[tuple[int, int, int, Span, int]]:
    """(window, token, number of its word, characters, tokens to the nearer edge of the window) of each real token."""
    assert reading.spans is not None and reading.words is not None
    for window, (spans, numbers) in enumerate(zip(reading.spans, reading.words, strict=True)):
        for token, (span, number) in enumerate(zip(spans, numbers, strict=True)):
            if span is not None and number is not None:
                yield window, token, number, span, min(token, len(spans) - 1 - token)
