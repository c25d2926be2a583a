"""Scoring: one text against many candidates, by a cross-encoder that reads pairs, or by cosine similarity."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from services.inference.combination import combined
from services.inference.loading import LoadedModel
from services.inference.pipeline import Answered, Pipeline, Read, Texts
from services.inference.prediction import CandidateScore, Prediction, Ranked, Reading, ScoreQuery, TextInput
from services.inference.probabilities import sigmoid
from services.inference.tasks.embedding import normalised
from services.inference.tokenization import TooManyTokens
from services.inference.validation import CANDIDATES, QUERY, check_between, check_top_k, fault_of, too_many_tokens
from services.platform.failures import Failure, InvalidInput

PAIRS, VECTORS = "pair_scoring", "embedding"
TASKS = frozenset({PAIRS, VECTORS})


async def score(pipeline: Pipeline, query: ScoreQuery) -> Prediction[Ranked]:
    """The candidates, best first; equal ones in their order; those that could not be scored last."""
    check_top_k(query.top_k)
    if query.threshold is not None:
        check_between(query.threshold, -1.0, 1.0, "threshold")
    with pipeline.model(query, TASKS) as model:
        if fault := fault_of(TextInput(query.query), QUERY, 0, False, pipeline.settings):
            raise fault
        answer = _by_pairs if model.manifest.task == PAIRS else _by_vectors
        prediction = await answer(pipeline, query, model)
    ranked = [Ranked(index, outcome) for index, outcome in enumerate(prediction.outcomes)]
    return Prediction(_best(ranked, query), prediction.served, prediction.timings)


def _best(ranked: list[Ranked], query: ScoreQuery) -> list[Ranked]:
    failed = [each for each in ranked if isinstance(each.outcome, Failure)]
    scored = [
        (each.outcome.score, each)
        for each in ranked
        if isinstance(each.outcome, CandidateScore)
        and (query.threshold is None or each.outcome.score >= query.threshold)
    ]
    scored.sort(key=lambda pair: -pair[0])
    return [each for _, each in scored][: query.top_k] + failed


async def _by_pairs(pipeline: Pipeline, query: ScoreQuery, model: LoadedModel) -> Prediction[CandidateScore]:
    def reader(model: LoadedModel) -> Read:
        try:
            read = model.tokenization.pairs(query.query, query.options)
        except TooManyTokens as error:
            raise too_many_tokens("query", error.limit) from None
        return lambda text: read(text.text)

    texts = Texts(_candidates(query), CANDIDATES, reader=reader)
    return await pipeline.answer_with(model, query, texts, partial(_pair_score, query=query))


def _pair_score(_: LoadedModel, answered: Answered, *, query: ScoreQuery) -> CandidateScore:
    reading = answered.reading
    raw = float(combined(reading, answered.rows, query.options)[0])
    return CandidateScore(reading.token_count, reading.truncated, len(reading.windows), sigmoid(raw), raw)


async def _by_vectors(pipeline: Pipeline, query: ScoreQuery, model: LoadedModel) -> Prediction[CandidateScore]:
    """Query and candidates are embedded in one go; the query is the first text."""

    def vector(_: LoadedModel, answered: Answered) -> tuple[Reading, NDArray[np.float32]]:
        return answered.reading, normalised(combined(answered.reading, answered.rows, query.options))

    texts = Texts([TextInput(query.query), *_candidates(query)], CANDIDATES, first=-1)
    prediction = await pipeline.answer_with(model, query, texts, vector)
    first, *others = prediction.outcomes
    if isinstance(first, InvalidInput):
        raise InvalidInput(first.message, "query", first.reason, **first.metadata)
    if isinstance(first, Failure):
        raise first
    outcomes = [each if isinstance(each, Failure) else _cosine(first[1], *each) for each in others]
    return Prediction(outcomes, prediction.served, prediction.timings)


def _cosine(query: NDArray[np.float32], reading: Reading, vector: NDArray[np.float32]) -> CandidateScore:
    similarity = float(np.clip(query @ vector, -1.0, 1.0))
    return CandidateScore(reading.token_count, reading.truncated, len(reading.windows), similarity, None)


def _candidates(query: ScoreQuery) -> list[TextInput]:
    return [TextInput(candidate) for candidate in query.candidates]
