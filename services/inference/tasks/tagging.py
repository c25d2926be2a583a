"""Token classification: the label of each word, and words of one meaning merged into entities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from services.inference.loading import LoadedModel
from services.inference.offsets import converter
from services.inference.pipeline import Answered, Pipeline, Texts
from services.inference.prediction import Entity, Prediction, Reading, TaggedWord, Tags
from services.inference.probabilities import softmax
from services.inference.queries import TagQuery
from services.inference.tasks.words import words_of
from services.inference.validation import check_between

TASKS = frozenset({"token_classification"})
OUTSIDE = "O"


async def tag(pipeline: Pipeline, query: TagQuery) -> Prediction[Tags]:
    """Entities of the query's texts."""
    check_between(query.threshold, 0.0, 1.0, "threshold")
    return await pipeline.answer(query, Texts(query.inputs, spans=True), TASKS, partial(tags, query=query))


def tags(model: LoadedModel, answered: Answered, *, query: TagQuery) -> Tags:
    """Labels of the words of one text, and its entities. Rows are logits float32 [tokens, labels] of each window."""
    text, reading = answered.text.text, answered.reading
    labelled = list(_labelled(model, text, reading, answered.rows))
    convert = converter(text, query.unit)
    entities = [
        Entity(label, *convert((start, end)), text[start:end], probability)
        for label, start, end, probability in merged(labelled)
        if probability >= query.threshold
    ]
    shown = [TaggedWord(w.label, *convert((w.start, w.end)), w.probability) for w in labelled] if query.words else []
    return Tags(reading.token_count, reading.truncated, len(reading.windows), entities, shown)


def _labelled(
    model: LoadedModel, text: str, reading: Reading, rows: Sequence[NDArray[np.float32]]
) -> Iterator[TaggedWord]:
    labels = model.manifest.labels
    probabilities = [softmax(row, model.temperature) for row in rows]
    for word in words_of(reading, text):
        row = probabilities[word.window][word.token]
        best = int(row.argmax())
        yield TaggedWord(labels[best], word.start, word.end, float(row[best]))


def merged(words: Sequence[TaggedWord]) -> Iterator[tuple[str, int, int, float]]:
    """(label, start, end, mean probability) of each entity of BIO-labelled words.

    B- begins an entity, I- of the same kind goes on with it; an I- that follows nothing of its kind begins one, as in
    conlleval (Tjong Kim Sang and Buchholz 2000).
    """
    group: list[TaggedWord] = []
    for word in words:
        prefix, kind = _parts(word.label)
        if group and (prefix != "I" or kind != _parts(group[0].label)[1]):
            yield _entity(group)
            group = []
        if kind:
            group.append(word)
    if group:
        yield _entity(group)


def _entity(group: list[TaggedWord]) -> tuple[str, int, int, float]:
    probability = float(np.float32(sum(word.probability for word in group) / len(group)))
    return _parts(group[0].label)[1], group[0].start, group[-1].end, probability


def _parts(label: str) -> tuple[str, str]:
    """Prefix and kind; a label without a prefix counts as I-, "O" has no kind."""
    if label == OUTSIDE:
        return OUTSIDE, ""
    prefix, dash, kind = label.partition("-")
    return (prefix, kind) if dash and prefix in {"B", "I"} else ("I", label)
