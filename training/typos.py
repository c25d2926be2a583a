"""Mistakes of typing: what a report measures robustness with, and what training rows can be varied with."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from training.han import is_han

Random = np.random.Generator

LETTERS_A_TYPO = 15
KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


def typos(text: str, random: Random, mistakes: int | None = None) -> str:
    """So many mistakes, at most one a letter: a neighbouring key, two letters swapped, one left out or struck twice.

    A Chinese character is swapped with its neighbour or left out, never replaced. Digits and the rest stay. `mistakes` None:
    one in about 15 letters, at least one. Under two letters or Chinese characters the text stays as it is.
    """
    places = [i for i, character in enumerate(text) if is_han(character) or character.lower() in NEIGHBOURS]
    if len(places) < 2:
        return text
    count = max(1, round(len(places) / LETTERS_A_TYPO)) if mistakes is None else min(mistakes, len(places) - 1)
    chosen = random.choice(places, count, replace=False)
    characters = list(text)
    # from behind, so that places before a deletion stay what they were
    for place in sorted(chosen.tolist(), reverse=True):
        _mistype(characters, place, random)
    return "".join(characters)


def _mistype(characters: list[str], place: int, random: Random) -> None:
    character = characters[place]
    after = characters[place + 1] if place + 1 < len(characters) else ""
    kinds = ["leave out"]
    if after.isalpha() and after != character and is_han(after) == is_han(character):
        kinds.append("swap")
    if character.lower() in NEIGHBOURS:
        kinds += ["neighbour", "double"]
    kind = kinds[int(random.integers(len(kinds)))]
    if kind == "leave out":
        del characters[place]
    elif kind == "swap":
        characters[place : place + 2] = [after, character]
    elif kind == "double":
        characters.insert(place, character)
    else:
        near = NEIGHBOURS[character.lower()]
        struck = near[int(random.integers(len(near)))]
        characters[place] = struck.upper() if character.isupper() else struck


def _neighbours() -> dict[str, str]:
    near: dict[str, str] = dict.fromkeys("".join(KEYS), "")
    for row in KEYS:
        for left, right in pairwise(row):
            near[left] += right
            near[right] += left
    for upper, lower in pairwise(KEYS):
        for position, key in enumerate(lower):
            for above in upper[position : position + 2]:
                near[key] += above
                near[above] += key
    return near


NEIGHBOURS = _neighbours()
"""Letter -> those beside, above and below it on a QWERTY keyboard."""
