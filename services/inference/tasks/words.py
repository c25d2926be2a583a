"""The words of a text, from the tokens of its windows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from services.inference.prediction import Reading, Span


@dataclass(slots=True)
class Word:
    """A word of the text: its characters in code points, and where its first token is read best."""

    start: int
    end: int
    window: int
    token: int
    margin: int
    """Tokens from there to the nearer edge of the window."""


def words_of(reading: Reading, text: str) -> list[Word]:
    """Words in the order of the text, which never overlap, as the trainer sees them (`training/tagging/words.py`).

    A word in several windows belongs to that in which its first token stands farthest from an edge. Words that the
    tokenizer made of one and the same character (as of a ligature that it takes apart) count as one. White space at the
    edges of a word, as byte-level tokenizers have it, is no part of it.
    """
    assert reading.spans is not None and reading.words is not None
    found: dict[int, Word] = {}
    for window, (spans, numbers) in enumerate(zip(reading.spans, reading.words, strict=True)):
        for number, word in _in_window(window, spans, numbers):
            known = found.setdefault(number, word)
            if (word.start, -word.margin) < (known.start, -known.margin):
                known.window, known.token, known.margin = word.window, word.token, word.margin
            known.start, known.end = min(known.start, word.start), max(known.end, word.end)
    return list(_apart(sorted(found.values(), key=lambda word: word.start), text))


def _in_window(window: int, spans: Sequence[Span | None], numbers: Sequence[int | None]) -> Iterator[tuple[int, Word]]:
    """The words of one window with their numbers."""
    words: dict[int, Word] = {}
    for token, (span, number) in enumerate(zip(spans, numbers, strict=True)):
        if span is None or number is None:
            continue
        word = words.get(number)
        if word is None:
            words[number] = Word(*span, window, token, min(token, len(spans) - 1 - token))
        else:
            word.start, word.end = min(word.start, span[0]), max(word.end, span[1])
    yield from words.items()


def _apart(words: list[Word], text: str) -> Iterator[Word]:
    before: Word | None = None
    for word in words:
        word.start, word.end = _trimmed(text, word.start, word.end)
        if word.end <= word.start:
            continue
        if before is not None and word.start < before.end:
            before.end = max(before.end, word.end)
            continue
        if before is not None:
            yield before
        before = word
    if before is not None:
        yield before


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    inside = text[start:end]
    start += len(inside) - len(inside.lstrip())
    return start, start + len(inside.strip())
