"""The types that travel between reading, cleaning, splitting and training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal

from training.numbers import Scale

TaskName = Literal[
    "single_label_classification",
    "multi_label_classification",
    "token_classification",
    "regression",
    "pair_scoring",
    "embedding",
]
"""What is learned of a text: the one label that it has; which of the labels apply to it, which may be none; which of its
stretches are entities of which type; a number; where it lies, near the texts that it belongs with. Of a pair of texts: how
relevant the second is to the first."""


class Split(StrEnum):
    """The three parts of a data set; `VALIDATION` chooses, `TEST` only reports."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True, slots=True, order=True)
class Entity:
    """A stretch of a text, characters [start, end) in code points, and its type."""

    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class Word:
    """A word as a tokenizer sees it: characters [start, end) of the text, and the token that speaks for it, its first."""

    start: int
    end: int
    token: int


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled text, or pair of texts, and where it stood in its source.

    `label` is the one label; where texts can have several, `labels` holds them, sorted, and `label` all of them as one word.
    Where texts have numbers, or pairs a relevance, `value` is the number, `label` the same as text, and `target` the number
    as it is learned, which is known once the rows are split.
    `row` is the 1-based line of the record in its file, so that every message can point at it.
    `extra` holds the remaining columns; reports may slice by them, training ignores them.
    `entities`, in their order and apart from one another, are there only where entities are learned; `labels` then are their
    types, and `label` all of them in words. `words` are those that a model reads, once its tokenizer is known.
    """

    text: str
    label: str
    text_pair: str | None = None
    split: Split | None = None
    source: str = ""
    row: int = 0
    extra: dict[str, str] = field(default_factory=dict)
    labels: tuple[str, ...] | None = None
    value: float | None = None
    target: float | None = None
    negative: str | None = None
    """A text that seems to belong with `text`, and does not; sentence encoders learn from it."""
    entities: tuple[Entity, ...] | None = None
    words: tuple[Word, ...] | None = None

    @property
    def given(self) -> tuple[str, ...]:
        """The labels of the text; a number is none."""
        if self.value is not None:
            return ()
        return (self.label,) if self.labels is None else self.labels


@dataclass(frozen=True, slots=True)
class Dataset:
    """A cleaned and split data set. `labels` are the model's outputs in their order: sorted classes, or the labels of words
    (`training.tagging.decoding.bio_labels`). Empty: numbers."""

    train: list[Example]
    validation: list[Example]
    test: list[Example]
    labels: list[str]
    fingerprint: str
    """SHA-256 over the examples of all splits in order: text, pair, label and split."""
    scale: Scale | None = None
    """That of the training rows, where texts have numbers."""

    @property
    def parts(self) -> dict[Split, list[Example]]:
        """The rows of each split."""
        return {Split.TRAIN: self.train, Split.VALIDATION: self.validation, Split.TEST: self.test}

    @property
    def examples(self) -> list[Example]:
        """All rows, in the order of the splits."""
        return [*self.train, *self.validation, *self.test]

    def changed(self, change: Callable[[list[Example]], list[Example]]) -> Dataset:
        """With the rows of each split changed."""
        return replace(self, train=change(self.train), validation=change(self.validation), test=change(self.test))
