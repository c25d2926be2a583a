"""What says which texts belong together, and the texts of rows in the order in which they are encoded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

from training.dataset import Example

Relation = Literal["pair", "score", "label"]
"""pair: the two texts of a row. score: a number says how near the two texts of a row are. label: texts of one label."""


def relation_of(examples: Sequence[Example]) -> Relation:
    """That of rows as `training.reading.relations` makes them; all of a data set have the same."""
    first = examples[0]
    if first.text_pair is None:
        return "label"
    return "score" if first.label else "pair"


def partners_of(examples: Sequence[Example]) -> dict[str, set[str]]:
    """Text -> the texts that it stands beside in some pair, whichever of the two comes first there."""
    partners: dict[str, set[str]] = defaultdict(set)
    for example in examples:
        assert example.text_pair is not None
        partners[example.text].add(example.text_pair)
        partners[example.text_pair].add(example.text)
    return partners


def singles(examples: Sequence[Example]) -> list[Example]:
    """Every text as a row of its own: first the first texts, then, where there are any, the second ones."""
    second = [Example(example.text_pair, "") for example in examples if example.text_pair is not None]
    return [Example(example.text, "") for example in examples] + second
