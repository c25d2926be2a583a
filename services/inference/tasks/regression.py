"""Regression: a number for each text, in the units of the training data."""

from __future__ import annotations

from functools import partial

from services.inference.combination import combined
from services.inference.loading import LoadedModel
from services.inference.pipeline import Answered, Pipeline, Texts
from services.inference.prediction import Prediction, Regression
from services.inference.queries import Options, RegressQuery

TASKS = frozenset({"regression"})


async def regress(pipeline: Pipeline, query: RegressQuery) -> Prediction[Regression]:
    """Numbers of the query's texts."""
    return await pipeline.answer(query, Texts(query.inputs), TASKS, partial(regression, options=query.options))


def regression(model: LoadedModel, answered: Answered, *, options: Options) -> Regression:
    """The model's output, of all windows of the text, back from standard deviations to units."""
    reading, scale = answered.reading, model.manifest.scale
    assert scale is not None  # the manifest of this task has one
    standardised = float(combined(reading, answered.rows, options)[0])
    value = scale.mean + scale.deviation * standardised
    return Regression(reading.token_count, reading.truncated, len(reading.windows), value, answered.cached)
