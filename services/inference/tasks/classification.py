"""Single-label classification: the best labels of a text."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from services.inference.combination import combined
from services.inference.loading import LoadedModel
from services.inference.pipeline import Answered, Pipeline, Texts
from services.inference.prediction import Classification, LabelScore, Prediction, Reading
from services.inference.probabilities import softmax
from services.inference.queries import ClassifyQuery
from services.inference.validation import check_between, check_top_k

TASKS = frozenset({"single_label_classification"})

Row = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Logits and calibrated probabilities, float32 [labels] each, of one window."""


async def classify(pipeline: Pipeline, query: ClassifyQuery) -> Prediction[Classification]:
    """Labels of the query's texts."""
    check_top_k(query.top_k)
    check_between(query.threshold, 0.0, 1.0, "threshold")
    return await pipeline.answer(query, Texts(query.inputs), TASKS, partial(classification, query=query))


def classification(model: LoadedModel, answered: Answered, *, query: ClassifyQuery) -> Classification:
    """The best labels: equal ones in the model's order."""
    reading = answered.reading
    logits, probabilities = whole(model, reading, answered.rows, query)
    one = query.top_k == 1
    best = [int(probabilities.argmax())] if one else np.argsort(-probabilities, kind="stable")[: query.top_k].tolist()
    names = model.manifest.labels
    labels = [
        LabelScore(names[i], float(probabilities[i]), float(logits[i]))
        for i in best
        if probabilities[i] >= query.threshold
    ]
    return Classification(
        reading.token_count, reading.truncated, len(reading.windows), labels, probabilities, answered.cached
    )


def whole(model: LoadedModel, reading: Reading, rows: Sequence[Row], query: ClassifyQuery) -> Row:
    """Logits and probabilities of the text, over all of its windows."""
    if len(rows) == 1:
        return rows[0]
    logits = combined(reading, [row[0] for row in rows], query.options)
    return logits, softmax(logits, model.manifest.temperature)
