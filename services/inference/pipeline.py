"""The path of every query: validation -> tokenization -> scheduling -> session -> what the task makes of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from services.inference.loading import LoadedModel
from services.inference.models import Models
from services.inference.prediction import (
    Encoded,
    Options,
    Prediction,
    Query,
    Reading,
    TextInput,
    Timings,
)
from services.inference.scheduling.work import Computed
from services.inference.settings import InferenceSettings
from services.inference.tokenization import Tokenization, TooManyTokens
from services.inference.validation import (
    INPUTS,
    Paths,
    check_count,
    check_options,
    check_reference,
    fault_of,
    too_many_tokens,
)
from services.platform.failures import Failure, TaskNotServed

INLINE_BYTES = 4_096
"""Texts of a call up to this size are tokenized on the event loop (about 0.1 ms a kilobyte), larger ones on a thread."""
NOTHING = Computed([], 0.0, 0.0)

Read = Callable[[TextInput], Reading]
Outcome = TypeVar("Outcome")


@dataclass(frozen=True, slots=True)
class Answered:
    """A text, how it was read, and the model's result for each of its windows."""

    text: TextInput
    reading: Reading
    rows: Sequence[Any]
    cached: bool


NONE: Mapping[int, Answered] = {}


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of a call, where they stand in it (positions count from `first`), and how they are read.

    With `spans`, readings carry the characters of their tokens; `reader` makes a function that reads in another way.
    """

    inputs: Sequence[TextInput]
    paths: Paths = INPUTS
    first: int = 0
    spans: bool = False
    reader: Callable[[LoadedModel], Read] | None = None

    @property
    def usual(self) -> bool:
        """Whether equal texts under equal options have equal readings and results."""
        return self.reader is None and not self.spans


Finish = Callable[[LoadedModel, Answered], Outcome]
"""What a task makes of a text's results."""


class Pipeline:
    """Answers queries with the loaded models."""

    def __init__(self, models: Models, settings: InferenceSettings) -> None:
        self._models = models
        self.settings = settings

    @contextmanager
    def model(self, query: Query, tasks: frozenset[str]) -> Iterator[LoadedModel]:
        """The loaded version that answers the query; it stays loaded for the length of the block.

        Raises InvalidInput, ModelNotFound, or TaskNotServed when it does none of `tasks`.
        """
        check_reference(query.model)
        check_options(query.options)
        with self._models.use(query.model, query.options.routing_key) as model:
            if model.manifest.task not in tasks:
                does = model.manifest.task.replace("_", " ")
                raise TaskNotServed(f"model {model.name!r} does {does}, which this call does not ask for")
            yield model

    async def answer(
        self, query: Query, texts: Texts, tasks: frozenset[str], finish: Finish[Outcome]
    ) -> Prediction[Outcome]:
        """One outcome a text. Bad texts become outcomes; a Failure is raised for what concerns the whole call."""
        with self.model(query, tasks) as model:
            return await self.answer_with(model, query, texts, finish)

    async def answer_with(
        self, model: LoadedModel, query: Query, texts: Texts, finish: Finish[Outcome]
    ) -> Prediction[Outcome]:
        """As `answer`, with a model in use."""
        begun = time.perf_counter()
        check_count(len(texts.inputs) - abs(texts.first), self.settings)
        model.lane.admit(1, query.options.priority)
        remembered = self._recall(model, texts, query.options)
        readings = await self.read(model, texts, query.options, remembered)
        tokenized = time.perf_counter()
        windows = [window for reading in readings if isinstance(reading, Reading) for window in reading.windows]
        computed = await self.compute(model, windows, query)
        rows = iter(computed.rows)
        outcomes: list[Outcome | Failure] = []
        for text, reading in zip(texts.inputs, readings, strict=True):
            if isinstance(reading, Failure):
                outcomes.append(reading)
                continue
            if isinstance(reading, Reading):
                answered = Answered(text, reading, [next(rows) for _ in reading.windows], cached=False)
                if model.cache is not None and texts.usual:
                    model.cache.put(text, query.options, reading, answered.rows)
            else:
                answered = reading
            outcomes.append(finish(model, answered))
        ended = time.perf_counter()
        timings = Timings(tokenized - begun, computed.queue_s, computed.inference_s, ended - begun)
        model.statistics.answered(timings, len(remembered))
        return Prediction(outcomes, model.served, timings)

    async def read(
        self, model: LoadedModel, texts: Texts, options: Options, remembered: Mapping[int, Answered] = NONE
    ) -> list[Reading | Answered | Failure]:
        """Checks and tokenizes; a text that is wrong becomes a Failure that names its position, a remembered one stays.

        Raises InvalidInput when the reader itself cannot be made.
        """
        pair, settings = model.manifest.pair and texts.reader is None, self.settings

        def work() -> list[Reading | Answered | Failure]:
            read = texts.reader(model) if texts.reader else partial(_read, model.tokenization, options, texts.spans)
            return [
                remembered.get(position)
                or fault_of(text, texts.paths, texts.first + position, pair, settings)
                or _attempt(read, text, texts.paths, texts.first + position)
                for position, text in enumerate(texts.inputs)
            ]

        size = sum(len(text.text) + len(text.text_pair or "") for text in texts.inputs)
        return work() if size <= INLINE_BYTES else await asyncio.to_thread(work)

    async def compute(self, model: LoadedModel, rows: Sequence[Encoded], query: Query) -> Computed:
        """Results of the rows, in their order."""
        if not rows:
            return NOTHING
        try:
            return await model.lane.submit(rows, query.deadline, query.options.priority)
        except Failure:
            model.statistics.fail.add(0.0)
            raise

    async def answer_encoded(
        self, query: Query, rows: list[Encoded], tasks: frozenset[str], finish: Finish[Outcome]
    ) -> Prediction[Outcome]:
        """Answers token ids that the caller made itself; they must fit the model (see `open_inference_requests`)."""
        begun = time.perf_counter()
        with self.model(query, tasks) as model:
            computed = await self.compute(model, rows, query)
            nothing = TextInput("")
            outcomes: list[Outcome | Failure] = [
                finish(model, Answered(nothing, Reading([row], len(row), truncated=False), [result], cached=False))
                for row, result in zip(rows, computed.rows, strict=True)
            ]
            ended = time.perf_counter()
            timings = Timings(0.0, computed.queue_s, computed.inference_s, ended - begun)
            model.statistics.answered(timings, 0)
            return Prediction(outcomes, model.served, timings)

    @staticmethod
    def _recall(model: LoadedModel, texts: Texts, options: Options) -> dict[int, Answered]:
        if model.cache is None or not texts.usual:
            return {}
        found = {position: model.cache.get(text, options) for position, text in enumerate(texts.inputs)}
        return {
            position: Answered(texts.inputs[position], entry.reading, entry.rows, cached=True)
            for position, entry in found.items()
            if entry is not None
        }


def _read(tokenization: Tokenization, options: Options, spans: bool, text: TextInput) -> Reading:
    return tokenization.read(text, options, spans)


def _attempt(read: Read, text: TextInput, paths: Paths, position: int) -> Reading | Failure:
    try:
        return read(text)
    except TooManyTokens as error:
        return too_many_tokens(paths.text.format(position), error.limit)
