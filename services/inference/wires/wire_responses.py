"""Predictions to responses of bertline.inference.v1."""

from __future__ import annotations

import numpy as np
from bertline.inference.v1 import inference_pb2 as pb

from services.inference import prediction as types
from services.inference.prediction import Prediction
from services.platform.failures import Failure
from services.platform.statuses import status_of


def classify_response(prediction: Prediction[types.Classification], raw_scores: bool) -> pb.ClassifyResponse:
    """The response of a prediction; labels carry raw scores where they were asked for."""
    return pb.ClassifyResponse(
        results=[_classified(outcome, raw_scores) for outcome in prediction.outcomes],
        model=_model(prediction),
        timings=_timings(prediction),
    )


def _classified(outcome: types.Classification | Failure, raw_scores: bool) -> pb.ClassifyResult:
    if isinstance(outcome, Failure):
        return pb.ClassifyResult(error=status_of(outcome))
    if raw_scores:
        labels = [
            pb.LabelScore(label=each.label, probability=each.probability, raw_score=each.raw_score)
            for each in outcome.labels
        ]
    else:
        labels = [pb.LabelScore(label=each.label, probability=each.probability) for each in outcome.labels]
    return pb.ClassifyResult(
        classification=pb.Classification(
            labels=labels,
            token_count=outcome.token_count,
            truncated=outcome.truncated,
            window_count=outcome.window_count,
            cached=outcome.cached,
            scope=None if outcome.scope is None else _scope(outcome.scope),
        )
    )


def _scope(scope: types.Scope) -> pb.Scope:
    return pb.Scope(out_of_scope=scope.out_of_scope, score=scope.score, threshold=scope.threshold)


def embed_response(prediction: Prediction[types.Embedding]) -> pb.EmbedResponse:
    """The response of a prediction."""
    return pb.EmbedResponse(
        results=[_embedded(outcome) for outcome in prediction.outcomes],
        model=_model(prediction),
        timings=_timings(prediction),
    )


def _embedded(outcome: types.Embedding | Failure) -> pb.EmbedResult:
    if isinstance(outcome, Failure):
        return pb.EmbedResult(error=status_of(outcome))
    embedding = pb.Embedding(
        token_count=outcome.token_count,
        truncated=outcome.truncated,
        window_count=outcome.window_count,
        cached=outcome.cached,
    )
    if outcome.vector.dtype == np.int8:
        embedding.int8.CopyFrom(pb.Int8Vector(values=outcome.vector.tobytes(), scale=outcome.scale))
    else:
        embedding.float32.CopyFrom(pb.FloatVector(values=outcome.vector.tolist()))
    return pb.EmbedResult(embedding=embedding)


def score_response(prediction: Prediction[types.Ranked], raw_scores: bool) -> pb.ScoreResponse:
    """The response of a prediction; results carry raw scores where they were asked for."""
    ranked = [each for each in prediction.outcomes if isinstance(each, types.Ranked)]
    return pb.ScoreResponse(
        results=[_scored(each, raw_scores) for each in ranked], model=_model(prediction), timings=_timings(prediction)
    )


def _scored(ranked: types.Ranked, raw_scores: bool) -> pb.ScoreResult:
    outcome = ranked.outcome
    if isinstance(outcome, Failure):
        return pb.ScoreResult(index=ranked.index, error=status_of(outcome))
    score = pb.CandidateScore(
        score=outcome.score,
        raw_score=outcome.raw_score if raw_scores else None,
        token_count=outcome.token_count,
        truncated=outcome.truncated,
        window_count=outcome.window_count,
    )
    return pb.ScoreResult(index=ranked.index, score=score)


def regress_response(prediction: Prediction[types.Regression]) -> pb.RegressResponse:
    """The response of a prediction."""
    return pb.RegressResponse(
        results=[_regressed(outcome) for outcome in prediction.outcomes],
        model=_model(prediction),
        timings=_timings(prediction),
    )


def _regressed(outcome: types.Regression | Failure) -> pb.RegressResult:
    if isinstance(outcome, Failure):
        return pb.RegressResult(error=status_of(outcome))
    return pb.RegressResult(
        regression=pb.Regression(
            value=outcome.value,
            token_count=outcome.token_count,
            truncated=outcome.truncated,
            window_count=outcome.window_count,
            cached=outcome.cached,
        )
    )


def tag_response(prediction: Prediction[types.Tags]) -> pb.TagResponse:
    """The response of a prediction."""
    return pb.TagResponse(
        results=[_tagged(outcome) for outcome in prediction.outcomes],
        model=_model(prediction),
        timings=_timings(prediction),
    )


def _tagged(outcome: types.Tags | Failure) -> pb.TagResult:
    if isinstance(outcome, Failure):
        return pb.TagResult(error=status_of(outcome))
    entities = [
        pb.Entity(label=e.label, start=e.start, end=e.end, text=e.text, probability=e.probability)
        for e in outcome.entities
    ]
    words = [pb.TaggedWord(label=w.label, start=w.start, end=w.end, probability=w.probability) for w in outcome.words]
    return pb.TagResult(
        tags=pb.Tags(
            entities=entities,
            words=words,
            token_count=outcome.token_count,
            truncated=outcome.truncated,
            window_count=outcome.window_count,
        )
    )


def explain_response(prediction: Prediction[types.Explanation]) -> pb.ExplainResponse:
    """The response of a prediction of one outcome."""
    (outcome,) = prediction.outcomes
    if isinstance(outcome, Failure):
        raise outcome
    words = [
        pb.WordAttribution(
            text=word.text,
            start=word.start,
            end=word.end,
            contribution=word.contribution,
            raw_contribution=word.raw_contribution,
        )
        for word in outcome.words
    ]
    return pb.ExplainResponse(
        label=outcome.label,
        probability=outcome.probability,
        words=words,
        evaluation_count=outcome.evaluation_count,
        token_count=outcome.token_count,
        truncated=outcome.truncated,
        model=_model(prediction),
        timings=_timings(prediction),
    )


def stream_failure(request_id: str, failure: Failure) -> pb.StreamClassifyResponse:
    """The answer to a request of a stream that failed."""
    return pb.StreamClassifyResponse(id=request_id, error=status_of(failure))


def _model(prediction: Prediction[types.Outcome]) -> pb.ModelInfo:
    served = prediction.served
    return pb.ModelInfo(name=served.name, version=served.version, variant=served.variant)


def _timings(prediction: Prediction[types.Outcome]) -> pb.Timings:
    timings = prediction.timings
    return pb.Timings(
        tokenization_us=int(timings.tokenization * 1e6),
        queue_us=int(timings.queue * 1e6),
        inference_us=int(timings.inference * 1e6),
        total_us=int(timings.total * 1e6),
    )
