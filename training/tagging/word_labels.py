"""What is right of the words of many texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

from training.dataset import Entity, Example, Word
from training.tagging.decoding import entities_of, word_labels


class WordLabels(Sequence[NDArray[np.int64]]):
    """For each text the labels of its words, int64 [words], and the entities that they come from."""

    def __init__(self, examples: Sequence[Example], labels: Sequence[str]) -> None:
        self.labels = list(labels)
        self.words: list[tuple[Word, ...]] = [_words(example) for example in examples]
        self.entities = [example.entities or () for example in examples]
        pairs = zip(self.words, self.entities, strict=True)
        self._rows = [word_labels(words, entities, labels) for words, entities in pairs]
        self.bounds = np.cumsum([0, *map(len, self._rows)])
        """Where the words of each text begin among all of them, and where the last ends."""

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> NDArray[np.int64]: ...
    @overload
    def __getitem__(self, index: slice) -> list[NDArray[np.int64]]: ...
    def __getitem__(self, index: int | slice) -> NDArray[np.int64] | list[NDArray[np.int64]]:
        return self._rows[index]

    @property
    def flat(self) -> NDArray[np.int64]:
        """Labels of all words, text by text, int64 [words]."""
        return np.concatenate(self._rows) if self._rows else np.empty(0, np.int64)

    def decoded(self, decided: NDArray[np.int64]) -> list[list[Entity]]:
        """The entities of each text that labels of all words, int64 [words], mean."""
        return [[entity for entity, _, _ in row] for row in self.located(decided)]

    def located(self, decided: NDArray[np.int64]) -> list[list[tuple[Entity, int, int]]]:
        """The same, each with its words [begin, end) among all words."""
        found = []
        for row, words in enumerate(self.words):
            start = int(self.bounds[row])
            tags = [self.labels[index] for index in decided[start : start + len(words)]]
            found.append([(entity, start + begin, start + end) for entity, begin, end in entities_of(words, tags)])
        return found


def _words(example: Example) -> tuple[Word, ...]:
    if example.words is None:
        raise ValueError("the words of a text are known once its tokenizer is: see training.tagging.words")
    return example.words
