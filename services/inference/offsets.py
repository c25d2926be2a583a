"""Character offsets in the unit that the caller's language counts in."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate

from services.inference.prediction import Span
from services.inference.queries import OffsetUnit

Convert = Callable[[Span], Span]


def converter(text: str, unit: OffsetUnit) -> Convert:
    """Turns code-point spans of `text` into spans of `unit`."""
    if unit is OffsetUnit.CODE_POINT or text.isascii():
        return _same
    width = _utf16 if unit is OffsetUnit.UTF16 else _utf8
    positions = list(accumulate(map(width, text), initial=0))
    return lambda span: (positions[span[0]], positions[span[1]])


def _same(span: Span) -> Span:
    return span


def _utf16(character: str) -> int:
    return 2 if ord(character) > 0xFFFF else 1


def _utf8(character: str) -> int:
    return len(character.encode())
