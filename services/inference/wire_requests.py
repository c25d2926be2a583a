"""Requests of bertline.inference.v1 to queries; nothing is checked here but what protobuf allows."""

from __future__ import annotations

from collections.abc import Iterable

from bertline.inference.v1 import inference_pb2 as pb

from services.inference.prediction import (
    PLAIN,
    ClassifyQuery,
    Combination,
    EmbedQuery,
    ExplainQuery,
    ModelReference,
    OffsetUnit,
    Options,
    Priority,
    ScoreQuery,
    TagQuery,
    TextInput,
    Truncation,
    VectorFormat,
    Windows,
)

TRUNCATIONS = {pb.TRUNCATION_LEFT: Truncation.LEFT, pb.TRUNCATION_ERROR: Truncation.ERROR}
COMBINATIONS = {pb.WINDOW_COMBINATION_MAX: Combination.MAX}
PRIORITIES = {pb.PRIORITY_LOW: Priority.LOW, pb.PRIORITY_HIGH: Priority.HIGH}
UNITS = {pb.OFFSET_UNIT_UTF16: OffsetUnit.UTF16, pb.OFFSET_UNIT_UTF8: OffsetUnit.UTF8}
FORMATS = {pb.EMBEDDING_FORMAT_INT8: VectorFormat.INT8}

DEFAULT_EVALUATIONS = 64


def classify_query(request: pb.ClassifyRequest, deadline: float | None) -> ClassifyQuery:
    """The query of a request."""
    top_k = request.top_k if request.HasField("top_k") else 1
    return ClassifyQuery(
        _reference(request.model),
        deadline,
        _options(request),
        _inputs(request.inputs),
        top_k or None,
        request.threshold,
    )


def embed_query(request: pb.EmbedRequest, deadline: float | None) -> EmbedQuery:
    """The query of a request."""
    return EmbedQuery(
        _reference(request.model),
        deadline,
        _options(request),
        _inputs(request.inputs),
        request.dimensions if request.HasField("dimensions") else None,
        FORMATS.get(request.format, VectorFormat.FLOAT32),
        request.raw_vectors,
    )


def score_query(request: pb.ScoreRequest, deadline: float | None) -> ScoreQuery:
    """The query of a request."""
    return ScoreQuery(
        _reference(request.model),
        deadline,
        _options(request),
        request.query,
        request.candidates,
        request.top_k or None,
        request.threshold if request.HasField("threshold") else None,
    )


def tag_query(request: pb.TagRequest, deadline: float | None) -> TagQuery:
    """The query of a request."""
    return TagQuery(
        _reference(request.model),
        deadline,
        _options(request),
        _inputs(request.inputs),
        request.threshold,
        request.include_words,
        UNITS.get(request.offset_unit, OffsetUnit.CODE_POINT),
    )


def explain_query(request: pb.ExplainRequest, deadline: float | None) -> ExplainQuery:
    """The query of a request."""
    return ExplainQuery(
        _reference(request.model),
        deadline,
        _options(request),
        _input(request.input),
        request.label if request.HasField("label") else None,
        request.max_evaluations if request.HasField("max_evaluations") else DEFAULT_EVALUATIONS,
        request.top_k or None,
        UNITS.get(request.offset_unit, OffsetUnit.CODE_POINT),
    )


Request = pb.ClassifyRequest | pb.EmbedRequest | pb.ScoreRequest | pb.TagRequest | pb.ExplainRequest


def _options(request: Request) -> Options:
    if not request.HasField("options"):
        return PLAIN
    options = request.options
    windows = None
    if options.HasField("windows"):
        sent = options.windows
        overlap = sent.overlap_tokens if sent.HasField("overlap_tokens") else None
        windows = Windows(overlap, COMBINATIONS.get(sent.combination, Combination.MEAN), sent.max_windows)
    return Options(
        TRUNCATIONS.get(options.truncation, Truncation.RIGHT),
        windows,
        PRIORITIES.get(options.priority, Priority.NORMAL),
        options.routing_key,
    )


def _reference(selector: pb.ModelSelector) -> ModelReference:
    selection = selector.WhichOneof("selection")
    return ModelReference(
        selector.name,
        selector.version if selection == "version" else None,
        (selector.label or None) if selection == "label" else None,
    )


def _inputs(inputs: Iterable[pb.TextInput]) -> list[TextInput]:
    return [_input(each) for each in inputs]


def _input(sent: pb.TextInput) -> TextInput:
    return TextInput(sent.text, sent.text_pair if sent.HasField("text_pair") else None)
