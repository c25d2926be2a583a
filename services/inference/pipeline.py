"""The path of a query: validation -> tokenization -> batcher -> session -> postprocess."""

from __future__ import annotations

import asyncio
import time

from services.inference.loading import LoadedModel
from services.inference.models import Models
from services.inference.postprocess import classification
from services.inference.prediction import (
    Classification,
    Encoded,
    ModelReference,
    Prediction,
    Query,
    TextInput,
    Timings,
)
from services.inference.settings import InferenceSettings
from services.inference.validation import check_query, check_reference, fault_of
from services.platform.failures import Failure

INLINE_BYTES = 4_096
"""Texts of a call up to this size are tokenized on the event loop (about 0.1 ms a kilobyte), larger ones on a thread."""


class Pipeline:
    """Answers queries with the loaded models."""

    def __init__(self, models: Models, settings: InferenceSettings) -> None:
        self._models = models
        self._settings = settings

    async def classify(self, query: Query) -> Prediction:
        """Classifies texts. Bad texts become outcomes; a Failure is raised for what concerns the whole call."""
        begun = time.perf_counter()
        check_reference(query.model)
        model = self._models.get(query.model)
        check_query(query, self._settings)
        pair = model.manifest.pair
        faults = [fault_of(text, position, pair, self._settings) for position, text in enumerate(query.inputs)]
        good = [text for text, fault in zip(query.inputs, faults, strict=True) if fault is None]
        encoded = await _encode(model, good)
        tokenized = time.perf_counter()
        answers, queue_s, inference_s = await _compute(model, encoded, query.deadline, query.top_k)
        remaining = iter(answers)
        outcomes: list[Classification | Failure] = [fault if fault is not None else next(remaining) for fault in faults]
        ended = time.perf_counter()
        model.statistics.compute_input.add(tokenized - begun)
        model.statistics.success.add(ended - begun)
        return Prediction(outcomes, model.served, Timings(tokenized - begun, queue_s, inference_s, ended - begun))

    async def classify_encoded(
        self, reference: ModelReference, rows: list[Encoded], deadline: float | None, top_k: int | None
    ) -> Prediction:
        """Classifies token ids that the caller made itself; they must fit the model (see `open_inference`)."""
        begun = time.perf_counter()
        model = self._models.get(reference)
        answers, queue_s, inference_s = await _compute(model, rows, deadline, top_k)
        ended = time.perf_counter()
        model.statistics.success.add(ended - begun)
        return Prediction(list(answers), model.served, Timings(0.0, queue_s, inference_s, ended - begun))


async def _encode(model: LoadedModel, texts: list[TextInput]) -> list[Encoded]:
    size = sum(len(text.text) + len(text.text_pair or "") for text in texts)
    encode = model.tokenization.encode
    if size <= INLINE_BYTES:
        return [encode(text) for text in texts]
    return await asyncio.to_thread(lambda: [encode(text) for text in texts])


async def _compute(
    model: LoadedModel, rows: list[Encoded], deadline: float | None, top_k: int | None
) -> tuple[list[Classification], float, float]:
    if not rows:
        return [], 0.0, 0.0
    try:
        computed = await model.batcher.submit(rows, deadline)
    except Failure:
        model.statistics.fail.add(0.0)
        raise
    labels = model.manifest.labels
    answers = [classification(row, labels, top_k, encoded) for row, encoded in zip(computed.rows, rows, strict=True)]
    model.statistics.queue.add(computed.queue_s)
    return answers, computed.queue_s, computed.inference_s
