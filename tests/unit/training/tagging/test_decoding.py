"""Entities as labels of words, and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.inference.prediction import TaggedWord
from services.inference.tasks.tagging import merged
from training.dataset import Entity, Word
from training.tagging.decoding import bio_labels, entities_of, types_of, word_labels

LABELS = bio_labels(["B", "A"])


def words(*spans: tuple[int, int]) -> list[Word]:
    return [Word(start, end, token + 1) for token, (start, end) in enumerate(spans)]


def test_labels_are_o_and_two_for_each_type() -> None:
    assert LABELS == ["O", "B-A", "I-A", "B-B", "I-B"]
    assert types_of(LABELS) == ["A", "B"]


@pytest.mark.parametrize(
    ("entities", "labels"),
    [
        ([Entity(0, 5, "A")], ["B-A", "I-A", "O"]),
        ([Entity(0, 2, "A"), Entity(3, 5, "A")], ["B-A", "B-A", "O"]),
        ([Entity(4, 8, "B")], ["O", "B-B", "I-B"]),
        ([Entity(6, 7, "A"), Entity(7, 8, "B")], ["O", "O", "B-A"]),
        ([Entity(2, 3, "A")], ["O", "O", "O"]),
        ([Entity(9, 12, "A")], ["O", "O", "O"]),
        ([], ["O", "O", "O"]),
    ],
)
def test_a_word_that_is_partly_an_entity_is_its_own(entities: list[Entity], labels: list[str]) -> None:
    found = word_labels(words((0, 2), (3, 5), (6, 8)), entities, LABELS)
    assert found.dtype == np.int64
    assert [LABELS[index] for index in found] == labels


@given(st.lists(st.sampled_from(LABELS), max_size=20))
def test_labels_are_decoded_as_tag_does_it(tags: list[str]) -> None:
    places = words(*((10 * n, 10 * n + 5) for n in range(len(tags))))
    served = merged([TaggedWord(tag, word.start, word.end, 0.5) for tag, word in zip(tags, places, strict=True)])
    ours = [(entity.label, entity.start, entity.end) for entity, _, _ in entities_of(places, tags)]
    assert ours == [(label, start, end) for label, start, end, _ in served]


@given(st.lists(st.sampled_from(["", "A", "B"]), max_size=12))
def test_entities_of_whole_words_come_back(kinds: list[str]) -> None:
    places = words(*((3 * n, 3 * n + 2) for n in range(len(kinds))))
    entities = [Entity(word.start, word.end, kind) for word, kind in zip(places, kinds, strict=True) if kind]
    tags = [LABELS[index] for index in word_labels(places, entities, LABELS)]
    assert [entity for entity, _, _ in entities_of(places, tags)] == entities
