"""Tags beside tokens: which scheme they are in, and the entities that they mean.

BIO (IOB2): B- begins an entity, I- goes on with it, O is outside. IOB1 (Ramshaw and Marcus 1995) writes B- only where two
entities of one type touch. BIOES, BILOU and BMES also mark the last token and entities of one token.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Literal

Scheme = Literal["BIO", "IOB1", "BIOES", "BILOU", "BMES"]
Chunk = tuple[int, int, str]
"""Tokens [begin, end) and the type of the entity that they are."""

OUTSIDE = "O"
TAG = re.compile(r"([BIESLUM])-(.+)", re.DOTALL)
BEGINNING = frozenset("BSU")
"""Prefixes of tokens that begin an entity whatever stands before them."""
ENDING = frozenset("ESLU")
"""Prefixes behind which an entity is over."""
SCHEMES: tuple[tuple[Scheme, frozenset[str]], ...] = (
    ("BIO", frozenset("BI")),
    ("BIOES", frozenset("BIES")),
    ("BILOU", frozenset("BILU")),
    ("BMES", frozenset("BMES")),
)


def is_tag(word: str) -> bool:
    """Whether it is O, or a prefix of one of the schemes, a hyphen and a type."""
    return word == OUTSIDE or TAG.fullmatch(word) is not None


def scheme_of(sequences: Iterable[Sequence[str]]) -> Scheme:
    """The scheme that all of the tags are in. Raises ValueError when they are in none.

    IOB1 it is where entities begin with I-, and B- stands nowhere but right behind an entity of its own type.
    """
    prefixes: set[str] = set()
    separating = plain = begun_inside = 0
    for tags in sequences:
        before = ("", "")
        for tag in tags:
            prefix, kind = parts(tag)
            prefixes.add(prefix)
            touches = kind == before[1] and kind != ""
            separating += prefix == "B" and touches
            plain += prefix == "B" and not touches
            begun_inside += prefix == "I" and not touches
            before = prefix, kind
    prefixes.discard(OUTSIDE)
    found = next((scheme for scheme, known in SCHEMES if prefixes <= known), None)
    if found is None:
        raise ValueError(
            f"the prefixes {', '.join(sorted(prefixes))} belong to no one scheme (BIO, BIOES, BILOU, BMES)"
        )
    return "IOB1" if found == "BIO" and begun_inside and not plain else found


def chunks(tags: Sequence[str]) -> Iterator[Chunk]:
    """The entities that the tags mean, in any of the schemes.

    A tag that goes on with nothing of its type begins an entity, as in conlleval (Tjong Kim Sang and Buchholz 2000).
    """
    begin = 0
    before = (OUTSIDE, "")
    for position, tag in enumerate([*tags, OUTSIDE]):
        current = parts(tag)
        if before[1] and not _goes_on(before, current):
            yield begin, position, before[1]
        if current[1] and not _goes_on(before, current):
            begin = position
        before = current


def faults(tags: Sequence[str], scheme: Scheme) -> list[int]:
    """Positions of tags that the scheme does not allow: they go on with nothing, or leave an entity open."""
    if scheme == "IOB1":
        return []
    found = []
    before = (OUTSIDE, "")
    for position, tag in enumerate([*tags, OUTSIDE]):
        current = parts(tag)
        goes_on = _goes_on(before, current)
        if current[1] and current[0] not in BEGINNING and not goes_on:
            found.append(position)
        elif scheme != "BIO" and before[1] and before[0] not in ENDING and not goes_on:
            found.append(position - 1)
        before = current
    return found


@lru_cache(maxsize=1024)
def parts(tag: str) -> tuple[str, str]:
    """Prefix and type; O has no type."""
    match = TAG.fullmatch(tag)
    return (match.group(1), match.group(2)) if match else (OUTSIDE, "")


def _goes_on(before: tuple[str, str], current: tuple[str, str]) -> bool:
    return before[1] == current[1] != "" and current[0] not in BEGINNING and before[0] not in ENDING
