"""Embedding: one vector a text."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from services.inference.combination import combined
from services.inference.loading import LoadedModel
from services.inference.pipeline import Answered, Pipeline, Texts
from services.inference.prediction import Embedding, Prediction
from services.inference.queries import EmbedQuery, VectorFormat
from services.inference.validation import check_between

TASKS = frozenset({"embedding"})
LARGEST_INT8 = 127.0


async def embed(pipeline: Pipeline, query: EmbedQuery) -> Prediction[Embedding]:
    """Vectors of the query's texts."""
    with pipeline.model(query, TASKS) as model:
        width = model.manifest.width
        if query.dimensions is not None and width is not None:
            check_between(query.dimensions, 1, width, "dimensions")
        return await pipeline.answer_with(model, query, Texts(query.inputs), partial(embedding, query=query))


def embedding(model: LoadedModel, answered: Answered, *, query: EmbedQuery) -> Embedding:
    """The vector, cut, normalised and encoded as the query says."""
    reading = answered.reading
    vector = combined(reading, answered.rows, query.options)[: query.dimensions]
    if not query.raw:
        vector = normalised(vector)
    read = (reading.token_count, reading.truncated, len(reading.windows))
    if query.format is VectorFormat.FLOAT32:
        return Embedding(*read, vector, 1.0, answered.cached)
    scale = float(np.abs(vector).max()) / LARGEST_INT8
    return Embedding(*read, np.rint(vector / (scale or 1.0)).astype(np.int8), scale, answered.cached)


def normalised(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vector scaled to length 1 (L2); zeros stay zeros."""
    length = np.sqrt(np.square(vector).sum())
    unit: NDArray[np.float32] = vector / np.maximum(length, np.float32(1e-12))
    return unit
