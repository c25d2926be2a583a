"""How good the model is on parts of the test rows: what an average hides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from training.dataset import Example
from training.han import is_han
from training.report.answers import Answers
from training.report.contents import Score, Slice, SliceGroup

FEW_ROWS = 30
MOST_VALUES = 12
LONGEST_VALUE = 60
"""Characters; a column of longer values holds no categories."""
MAINLY = 0.9
"""Share of a text's letters that makes it a text of their script."""


def slices(examples: Sequence[Example], answers: Answers, lengths: Sequence[int], limit: int) -> list[SliceGroup]:
    """By each column of few values, script and length. `lengths` in tokens, at most `limit`, to which texts are cut."""
    groups = [*_columns(examples), ("script", [script(_text(example)) for example in examples])]
    groups.append(("length in tokens", quartiles(lengths, limit)))
    return [_group(name, values, answers) for name, values in groups if len(set(values)) > 1]


def script(text: str) -> str:
    """Latin, Han, mixed, or other, by the letters of the text."""
    letters = [character for character in text if character.isalpha()]
    han = sum(map(is_han, letters))
    latin = sum(character <= "\u024f" for character in letters)
    if not letters or han + latin < MAINLY * len(letters):
        return "other"
    if han >= MAINLY * len(letters):
        return "Han"
    return "Latin" if latin >= MAINLY * len(letters) else "mixed"


def quartiles(lengths: Sequence[int], limit: int) -> list[str]:
    """Of each row the quartile of its length, as a range; fewer than four where many rows are equally long."""
    edges = sorted({0, *(int(edge) for edge in np.quantile(lengths, (0.25, 0.5, 0.75, 1.0)))})
    ranges = {high: _range(low + 1, high, limit) for low, high in pairwise(edges)}
    return [ranges[next(edge for edge in edges if length <= edge)] for length in lengths]


def _range(low: int, high: int, limit: int) -> str:
    cut = " (where texts are cut)" if high >= limit else ""
    return f"{low} to {high}{cut}" if low < high else f"{high}{cut}"


def _columns(examples: Sequence[Example]) -> Iterator[tuple[str, list[str]]]:
    for name in sorted({name for example in examples for name in example.extra}):
        values = [example.extra.get(name) or "(empty)" for example in examples]
        distinct = set(values)
        if 1 < len(distinct) <= MOST_VALUES and max(map(len, distinct)) <= LONGEST_VALUE:
            yield f"column “{name}”", values


def _group(name: str, values: Sequence[str], answers: Answers) -> SliceGroup:
    counts = Counter(values)
    ordered = sorted(counts, key=_by_number) if name.startswith("length") else sorted(counts, key=lambda v: -counts[v])
    return SliceGroup(name=name, slices=[_slice(value, values, answers) for value in ordered])


def _by_number(value: str) -> int:
    return int(value.split(maxsplit=1)[0])


def _slice(value: str, values: Sequence[str], answers: Answers) -> Slice:
    part = answers.at([row for row, each in enumerate(values) if each == value])
    few = len(part) < FEW_ROWS
    score = Score(value=part.score, interval=None if few else part.interval)
    return Slice(value=value, rows=len(part), score=score, few=few)


def _text(example: Example) -> str:
    return example.text if example.text_pair is None else example.text + example.text_pair
