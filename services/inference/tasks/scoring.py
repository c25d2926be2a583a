"""Scoring: one text against many candidates, by a cross-encoder that reads pairs, or by cosine similarity."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from services.inference.combination import combined
from services.inference.loading import LoadedModel
from services.inference.pipeline import Answered, Pipeline, Texts
from services.inference.prediction import CandidateScore, Prediction, Ranked, Reading
from services.inference.probabilities import sigmoid
from services.inference.queries import ScoreQuery, TextInput
from services.inference.tasks.embedding import normalised
from services.inference.validation import CANDIDATES, QUERY, check_between, check_top_k, fault_of
from services.platform.failures import Failure

PAIRS, VECTORS = "pair_scoring", "embedding"
TASKS = frozenset({PAIRS, VECTORS})

Vector = tuple[Reading, NDArray[np.float32]]
"""How a text was read, and its vector of length 1."""


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
    return Prediction(best(ranked, query), prediction.served, prediction.timings)


def best(ranked: list[Ranked], query: ScoreQuery) -> list[Ranked]:
    """In order of their scores, as many as the query wants, then those that failed."""
    failed = [each for each in ranked if isinstance(each.outcome, Failure)]
    scored = [
        (_rank(each.outcome), each)
        for each in ranked
        if isinstance(each.outcome, CandidateScore)
        and (query.threshold is None or each.outcome.score >= query.threshold)
    ]
    scored.sort(key=lambda pair: -pair[0])
    return [each for _, each in scored][: query.top_k] + failed


def _rank(outcome: CandidateScore) -> float:
    """Raw scores still differ where sigmoids have reached 1."""
    return outcome.score if outcome.raw_score is None else outcome.raw_score


async def _by_pairs(pipeline: Pipeline, query: ScoreQuery, model: LoadedModel) -> Prediction[CandidateScore]:
    texts = Texts(_candidates(query), CANDIDATES, beside=query.query)
    return await pipeline.answer_with(model, query, texts, partial(_pair_score, query=query))


def _pair_score(model: LoadedModel, answered: Answered, *, query: ScoreQuery) -> CandidateScore:
    reading = answered.reading
    raw = float(combined(reading, answered.rows, query.options)[0])
    relevance = sigmoid(raw / model.temperature)
    return CandidateScore(reading.token_count, reading.truncated, len(reading.windows), relevance, raw)


async def _by_vectors(pipeline: Pipeline, query: ScoreQuery, model: LoadedModel) -> Prediction[CandidateScore]:
    """Query and candidates are embedded in one go; the query is the first text."""

    def vector(_: LoadedModel, answered: Answered) -> Vector:
        return answered.reading, normalised(combined(answered.reading, answered.rows, query.options))

    texts = Texts([TextInput(query.query), *_candidates(query)], CANDIDATES, led=True)
    prediction = await pipeline.answer_with(model, query, texts, vector)
    first, *others = prediction.outcomes
    if isinstance(first, Failure):
        raise first
    outcomes = [each if isinstance(each, Failure) else _cosine(first, each) for each in others]
    return Prediction(outcomes, prediction.served, prediction.timings)


def _cosine(query: Vector, candidate: Vector) -> CandidateScore:
    reading = candidate[0]
    similarity = float(np.clip(query[1] @ candidate[1], -1.0, 1.0))
    cut = query[0].truncated or reading.truncated
    return CandidateScore(reading.token_count, cut, len(reading.windows), similarity, None)


def _candidates(query: ScoreQuery) -> list[TextInput]:
    return [TextInput(candidate) for candidate in query.candidates]
