"""The path of every query: validation -> tokenization -> scheduling -> session -> what the task makes of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from services.inference import facts
from services.inference.loading import LoadedModel
from services.inference.prediction import Encoded, Prediction, Reading, Timings
from services.inference.queries import Options, Query, TextInput
from services.inference.scheduling.work import Computed
from services.inference.settings import InferenceSettings
from services.inference.tokenization import Tokenization, TooManyTokens
from services.inference.validation import (
    INPUTS,
    QUERY,
    Paths,
    check_count,
    check_options,
    check_overlap,
    check_reference,
    fault_of,
    too_many_tokens,
)
from services.inference.versions.models import Models
from services.platform.failures import Failure, TaskNotServed

INLINE_BYTES = 4_096
"""Texts of a call up to this size are tokenized on the event loop (about 0.1 ms a kilobyte), larger ones on a thread."""
INLINE_TOKENS = 4_096
"""Labels of so many tokens are made into entities on the event loop (about 2 microseconds a token), of more on a thread."""
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
    """The texts of a call, where they stand in it, and how they are read."""

    inputs: Sequence[TextInput]
    paths: Paths = INPUTS
    spans: bool = False
    """Readings carry the characters of their tokens."""
    beside: str | None = None
    """Each text is read as the second of a pair, beside this query."""
    led: bool = False
    """The first text is the call's query, outside the list: where it is bad, the call fails."""

    @property
    def usual(self) -> bool:
        """Whether equal texts under equal options have equal readings and results."""
        return self.beside is None and not self.spans

    def place(self, position: int) -> tuple[Paths, int]:
        """Where a text stands in the request."""
        if not self.led:
            return self.paths, position
        return (self.paths, position - 1) if position else (QUERY, 0)


Finish = Callable[[LoadedModel, Answered], Outcome]
"""What a task makes of a text's results."""


class Pipeline:
    """Answers queries with the loaded models."""

    def __init__(self, models: Models, settings: InferenceSettings) -> None:
        self._models = models
        self.settings = settings
        self.answered: Callable[[LoadedModel, Query, Texts, Prediction[Any]], None] | None = None
        """Hears of every answer, before the caller does; it must neither wait nor raise."""

    @contextmanager
    def model(self, query: Query, tasks: frozenset[str]) -> Iterator[LoadedModel]:
        """The loaded version that answers the query; it stays loaded for the length of the block.

        Raises InvalidInput, ModelNotFound, or TaskNotServed when it does none of `tasks`.
        """
        check_reference(query.model)
        check_options(query.options)
        with self._models.use(query.model, query.options.routing_key) as model:
            facts.current().served_by(model.name, model.version, model.served.variant)
            if model.manifest.task not in tasks:
                does = model.manifest.task.replace("_", " ")
                raise TaskNotServed(f"model {model.name!r} does {does}, which this call does not ask for")
            check_overlap(query.options, model.manifest.max_length)
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
        check_count(len(texts.inputs) - texts.led, texts.paths.field, self.settings)
        facts.current().texts += len(texts.inputs)
        model.lane.admit(1, query.options.priority, len(texts.inputs))
        remembered = self._recall(model, texts, query.options)
        readings = await self.read(model, texts, query.options, remembered)
        tokenized = time.perf_counter()
        windows = [window for reading in readings if isinstance(reading, Reading) for window in reading.windows]
        computed = await self.compute(model, windows, query)
        answers = self._answers(model, texts, query.options, readings, computed)

        def finished() -> list[Outcome | Failure]:
            return [each if isinstance(each, Failure) else finish(model, each) for each in answers]

        inline = not texts.spans or sum(map(len, windows)) <= INLINE_TOKENS
        outcomes = finished() if inline else await asyncio.to_thread(finished)
        ended = time.perf_counter()
        timings = Timings(tokenized - begun, computed.queue_s, computed.inference_s, ended - begun)
        model.statistics.answered(timings)
        prediction = Prediction(outcomes, model.served, timings)
        if self.answered is not None:
            self.answered(model, query, texts, prediction)
        return prediction

    async def read(
        self, model: LoadedModel, texts: Texts, options: Options, remembered: Mapping[int, Answered] = NONE
    ) -> list[Reading | Answered | Failure]:
        """Checks and tokenizes; a text that is wrong becomes a Failure that names its position, a remembered one stays.

        Raises InvalidInput for a query that is wrong.
        """
        pair, settings = model.manifest.pair and texts.beside is None, self.settings

        def work() -> list[Reading | Answered | Failure]:
            read = _reader(model.tokenization, texts, options)
            readings: list[Reading | Answered | Failure] = []
            for position, text in enumerate(texts.inputs):
                paths, index = texts.place(position)
                reading = (
                    remembered.get(position)
                    or fault_of(text, paths, index, pair, settings)
                    or _attempt(read, text, paths, index)
                )
                if position == 0 and texts.led and isinstance(reading, Failure):
                    raise reading
                readings.append(reading)
            return readings

        size = len(texts.beside or "") + sum(len(text.text) + len(text.text_pair or "") for text in texts.inputs)
        begun = time.perf_counter()
        readings = work() if size <= INLINE_BYTES else await asyncio.to_thread(work)
        facts.current().tokenized(begun, time.perf_counter())
        return readings

    async def compute(self, model: LoadedModel, rows: Sequence[Encoded], query: Query) -> Computed:
        """Results of the rows, in their order."""
        if not rows:
            return NOTHING
        known, queued = facts.current(), time.perf_counter()
        known.tokens += sum(map(len, rows))
        try:
            computed = await model.lane.submit(rows, query.deadline, query.options.priority)
        except Failure:
            model.statistics.fail.add(0.0)
            raise
        model.observer.read(rows)
        known.computed(queued, computed.queue_s, computed.inference_s, computed.batch_texts)
        model.observer.waited(computed.queue_s)
        return computed

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
            model.statistics.answered(timings)
            return Prediction(outcomes, model.served, timings)

    @staticmethod
    def _answers(
        model: LoadedModel,
        texts: Texts,
        options: Options,
        readings: Sequence[Reading | Answered | Failure],
        computed: Computed,
    ) -> list[Answered | Failure]:
        """Each text with its rows; those computed now are remembered."""
        rows = iter(computed.rows)
        answers: list[Answered | Failure] = []
        for text, reading in zip(texts.inputs, readings, strict=True):
            if not isinstance(reading, Reading):
                answers.append(reading)
                continue
            answered = Answered(text, reading, [next(rows) for _ in reading.windows], cached=False)
            if model.cache is not None and texts.usual:
                model.cache.put(text, options, reading, answered.rows)
            answers.append(answered)
        return answers

    @staticmethod
    def _recall(model: LoadedModel, texts: Texts, options: Options) -> dict[int, Answered]:
        if model.cache is None or not texts.usual:
            return {}
        found = {position: model.cache.get(text, options) for position, text in enumerate(texts.inputs)}
        known = {
            position: Answered(texts.inputs[position], entry.reading, entry.rows, cached=True)
            for position, entry in found.items()
            if entry is not None
        }
        model.observer.looked_up(len(known), len(found) - len(known))
        return known


def _reader(tokenization: Tokenization, texts: Texts, options: Options) -> Read:
    """How the texts are read. Raises InvalidInput for a query that may not be cut and is too long."""
    if texts.beside is None:
        return lambda text: tokenization.read(text, options, texts.spans)
    try:
        beside = tokenization.pairs(texts.beside, options)
    except TooManyTokens as error:
        raise too_many_tokens(QUERY.text, error.limit) from None
    return lambda text: beside(text.text)


def _attempt(read: Read, text: TextInput, paths: Paths, position: int) -> Reading | Failure:
    try:
        return read(text)
    except TooManyTokens as error:
        return too_many_tokens(paths.text.format(position), error.limit)
