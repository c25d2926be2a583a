"""Requests of bertline.inference.v1 to queries. Nothing is checked here but that enumerations have values we know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from bertline.inference.v1 import inference_pb2 as pb

from services.inference.queries import (
    PLAIN,
    ClassifyQuery,
    Combination,
    EmbedQuery,
    ExplainQuery,
    ModelReference,
    OffsetUnit,
    Options,
    Priority,
    RegressQuery,
    ScoreQuery,
    TagQuery,
    TextInput,
    Truncation,
    VectorFormat,
    Windows,
)
from services.platform.failures import InvalidInput

# the first of each is what an unset field means
TRUNCATIONS = {
    pb.TRUNCATION_UNSPECIFIED: Truncation.RIGHT,
    pb.TRUNCATION_RIGHT: Truncation.RIGHT,
    pb.TRUNCATION_LEFT: Truncation.LEFT,
    pb.TRUNCATION_ERROR: Truncation.ERROR,
}
COMBINATIONS = {
    pb.WINDOW_COMBINATION_UNSPECIFIED: Combination.MEAN,
    pb.WINDOW_COMBINATION_MEAN: Combination.MEAN,
    pb.WINDOW_COMBINATION_MAX: Combination.MAX,
}
PRIORITIES = {
    pb.PRIORITY_UNSPECIFIED: Priority.NORMAL,
    pb.PRIORITY_LOW: Priority.LOW,
    pb.PRIORITY_NORMAL: Priority.NORMAL,
    pb.PRIORITY_HIGH: Priority.HIGH,
}
UNITS = {
    pb.OFFSET_UNIT_UNSPECIFIED: OffsetUnit.CODE_POINT,
    pb.OFFSET_UNIT_CODE_POINT: OffsetUnit.CODE_POINT,
    pb.OFFSET_UNIT_UTF16: OffsetUnit.UTF16,
    pb.OFFSET_UNIT_UTF8: OffsetUnit.UTF8,
}
FORMATS = {
    pb.EMBEDDING_FORMAT_UNSPECIFIED: VectorFormat.FLOAT32,
    pb.EMBEDDING_FORMAT_FLOAT32: VectorFormat.FLOAT32,
    pb.EMBEDDING_FORMAT_INT8: VectorFormat.INT8,
}

DEFAULT_EVALUATIONS = 64


def classify_query(request: pb.ClassifyRequest, deadline: float | None) -> ClassifyQuery:
    """The query of a request."""
    return ClassifyQuery(
        _reference(request.model),
        deadline,
        _options(request),
        _inputs(request.inputs),
        request.top_k if request.HasField("top_k") else None,
        request.threshold if request.HasField("threshold") else None,
        request.coverage if request.HasField("coverage") else None,
    )


def embed_query(request: pb.EmbedRequest, deadline: float | None) -> EmbedQuery:
    """The query of a request."""
    return EmbedQuery(
        _reference(request.model),
        deadline,
        _options(request),
        _inputs(request.inputs),
        request.dimensions if request.HasField("dimensions") else None,
        _known(FORMATS, request.format, "format"),
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


def regress_query(request: pb.RegressRequest, deadline: float | None) -> RegressQuery:
    """The query of a request."""
    return RegressQuery(_reference(request.model), deadline, _options(request), _inputs(request.inputs))


def tag_query(request: pb.TagRequest, deadline: float | None) -> TagQuery:
    """The query of a request."""
    return TagQuery(
        _reference(request.model),
        deadline,
        _options(request),
        _inputs(request.inputs),
        request.threshold,
        request.include_words,
        _known(UNITS, request.offset_unit, "offset_unit"),
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
        _known(UNITS, request.offset_unit, "offset_unit"),
    )


Request = pb.ClassifyRequest | pb.EmbedRequest | pb.ScoreRequest | pb.RegressRequest | pb.TagRequest | pb.ExplainRequest


def _options(request: Request) -> Options:
    if not request.HasField("options"):
        return PLAIN
    options = request.options
    windows = None
    if options.HasField("windows"):
        sent = options.windows
        overlap = sent.overlap_tokens if sent.HasField("overlap_tokens") else None
        combination = _known(COMBINATIONS, sent.combination, "options.windows.combination")
        windows = Windows(overlap, combination, sent.max_windows)
    return Options(
        _known(TRUNCATIONS, options.truncation, "options.truncation"),
        windows,
        _known(PRIORITIES, options.priority, "options.priority"),
        options.routing_key,
    )


Value = TypeVar("Value")


def _known(values: Mapping[Any, Value], number: int, field: str) -> Value:
    """Raises InvalidInput for a value of a later contract: what a caller asks for is not passed over in silence."""
    if number not in values:
        raise InvalidInput(f"{field} has no value {number}", field, "OUT_OF_RANGE")
    return values[number]


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
