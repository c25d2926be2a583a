"""Requests and replies of Tag as plain Python values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bertline.inference.v1 import inference_pb2 as pb

from services.clients.failures import details_of
from services.clients.messages import ItemError, Reply, answered, inputs, selector
from services.clients.options import OFFSET_UNITS, OffsetUnit, Options, to_options


@dataclass(frozen=True, slots=True)
class Entity:
    """A stretch of text with a meaning. In code points, `text` is the text's [start:end]."""

    label: str
    start: int
    end: int
    text: str
    probability: float


@dataclass(frozen=True, slots=True)
class Word:
    """A word and its BIO label."""

    label: str
    start: int
    end: int
    probability: float


@dataclass(frozen=True, slots=True)
class Tagged:
    """Entities of one text in its order; `words` only where they were asked for."""

    entities: list[Entity]
    words: list[Word]
    token_count: int
    truncated: bool
    window_count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TagReply(Reply):
    """Results in the order of the texts."""

    results: list[Tagged | ItemError]


def tag_request(
    texts: Sequence[str],
    model: str,
    version: int | None,
    label: str | None,
    threshold: float | None,
    include_words: bool,
    offset_unit: OffsetUnit,
    options: Options | None,
) -> pb.TagRequest:
    """Raises TypeError or ValueError for arguments that make no sense."""
    return pb.TagRequest(
        model=selector(model, version, label),
        inputs=inputs(texts),
        threshold=threshold,
        include_words=include_words,
        offset_unit=OFFSET_UNITS[offset_unit],
        options=to_options(options),
    )


def tag_reply(response: pb.TagResponse, correlation_id: str) -> TagReply:
    """The reply of a response."""
    return TagReply(results=[_result(result) for result in response.results], **answered(response, correlation_id))


def _result(result: pb.TagResult) -> Tagged | ItemError:
    if result.WhichOneof("outcome") == "error":
        return ItemError(details_of(result.error))
    found = result.tags
    return Tagged(
        [Entity(each.label, each.start, each.end, each.text, each.probability) for each in found.entities],
        [Word(each.label, each.start, each.end, each.probability) for each in found.words],
        found.token_count,
        found.truncated,
        found.window_count,
    )
