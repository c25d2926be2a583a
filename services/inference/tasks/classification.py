"""Classification: the labels of a text, of which it has one, or any number."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from export.manifest import Manifest
from services.inference.combination import combined
from services.inference.loading import LoadedModel
from services.inference.pipeline import Answered, Pipeline, Texts
from services.inference.prediction import Classification, LabelScore, Prediction, Reading, Scope
from services.inference.probabilities import OF_LABELS
from services.inference.queries import ClassifyQuery
from services.inference.tasks.prediction_sets import check_coverage, prediction_set, set_threshold
from services.inference.validation import check_between, check_top_k

TASKS = frozenset({"single_label_classification", "multi_label_classification"})

Row = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Of one window: outputs float32 [labels], or [labels + 1], and calibrated probabilities float32 [labels]. The outputs are
logits, and behind them how far out of scope it lies, where the model tells."""


async def classify(pipeline: Pipeline, query: ClassifyQuery) -> Prediction[Classification]:
    """Labels of the query's texts."""
    check_top_k(query.top_k)
    if query.threshold is not None:
        check_between(query.threshold, 0.0, 1.0, "threshold")
    check_coverage(query)
    with pipeline.model(query, TASKS) as model:
        # what the model cannot promise fails the call before anything is computed
        least = None if query.coverage is None else set_threshold(model, query.coverage)
        finish = partial(classification, query=query, least=least)
        return await pipeline.answer_with(model, query, Texts(query.inputs), finish)


def classification(
    model: LoadedModel, answered: Answered, *, query: ClassifyQuery, least: float | None = None
) -> Classification:
    """The labels that the query wants, best first; equal ones in the model's order, and whether the text is in scope.

    `least`: the probability from which a label belongs to the set, where the query wants one.
    """
    reading, manifest = answered.reading, model.manifest
    outputs, probabilities = whole(model, reading, answered.rows, query)
    names = manifest.labels
    wanted = _best(manifest, probabilities, query) if least is None else prediction_set(probabilities, least)
    labels = [LabelScore(names[i], float(probabilities[i]), float(outputs[i])) for i in wanted]
    scope = _scope(model, outputs)
    if scope is not None and scope.out_of_scope:
        model.observer.out_of_scope(1)
    return Classification(
        reading.token_count, reading.truncated, len(reading.windows), labels, probabilities, answered.cached, scope
    )


def applying(manifest: Manifest, probabilities: NDArray[np.float32]) -> frozenset[str]:
    """The labels that a text has: the best one, or where it can have several those that reach their thresholds."""
    if manifest.thresholds is None:
        return frozenset({manifest.labels[int(probabilities.argmax())]})
    reached = probabilities >= np.array(manifest.thresholds, np.float32)
    return frozenset(name for name, has in zip(manifest.labels, reached, strict=True) if has)


def whole(model: LoadedModel, reading: Reading, rows: Sequence[Row], query: ClassifyQuery) -> Row:
    """Outputs and probabilities of the text, over all of its windows."""
    if len(rows) == 1:
        return rows[0]
    manifest = model.manifest
    outputs = combined(reading, [row[0] for row in rows], query.options)
    if manifest.out_of_scope is not None:
        # one telling passage brings a text into scope: what is the highest of logits is the lowest of scores
        outputs[-1:] = -combined(reading, [-row[0][-1:] for row in rows], query.options)
    return outputs, OF_LABELS[manifest.task](outputs[: len(manifest.labels)], model.temperature)


def _scope(model: LoadedModel, outputs: NDArray[np.float32]) -> Scope | None:
    threshold = model.variant.out_of_scope_threshold
    if threshold is None:
        return None
    score = outputs[-1]
    return Scope(bool(score > np.float32(threshold)), float(score), threshold)


def _best(manifest: Manifest, probabilities: NDArray[np.float32], query: ClassifyQuery) -> list[int]:
    """Positions of the most probable labels that are wanted."""
    return [
        i
        for i in _most_probable(manifest, probabilities, query.top_k)
        if probabilities[i] >= _threshold(manifest, i, query)
    ]


def _most_probable(manifest: Manifest, probabilities: NDArray[np.float32], top_k: int | None) -> list[int]:
    if top_k is None:
        top_k = 1 if manifest.thresholds is None else 0
    if top_k == 1:
        return [int(probabilities.argmax())]
    ordered: list[int] = np.argsort(-probabilities, kind="stable")[: top_k or None].tolist()
    return ordered


def _threshold(manifest: Manifest, position: int, query: ClassifyQuery) -> np.float32:
    """As float32, as probabilities are: one that equals its threshold reaches it."""
    if query.threshold is not None:
        return np.float32(query.threshold)
    return np.float32(0.0 if manifest.thresholds is None else manifest.thresholds[position])
