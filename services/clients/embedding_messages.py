"""Requests and replies of Embed as plain Python values. Vectors are lists: a client needs no numpy."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bertline.inference.v1 import inference_pb2 as pb

from services.clients.failures import details_of
from services.clients.messages import ItemError, Reply, Text, answered, inputs, selector
from services.clients.options import Options, to_options

VectorFormat = Literal["float32", "int8"]

FORMATS = {"float32": pb.EMBEDDING_FORMAT_FLOAT32, "int8": pb.EMBEDDING_FORMAT_INT8}


@dataclass(frozen=True, slots=True)
class Embedded:
    """The vector of one text, of length 1 unless raw ones were asked for.

    Of a vector that travelled as signed bytes, `packed` holds the bytes and `scale` what each of them stands for.
    """

    vector: list[float]
    token_count: int
    truncated: bool
    window_count: int = 1
    cached: bool = False
    packed: bytes | None = None
    scale: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedReply(Reply):
    """Results in the order of the texts."""

    results: list[Embedded | ItemError]


def embed_request(
    texts: Sequence[Text],
    model: str,
    version: int | None,
    label: str | None,
    dimensions: int | None,
    vector_format: VectorFormat,
    raw_vectors: bool,
    options: Options | None,
) -> pb.EmbedRequest:
    """Raises TypeError or ValueError for arguments that make no sense."""
    return pb.EmbedRequest(
        model=selector(model, version, label),
        inputs=inputs(texts),
        dimensions=dimensions,
        format=FORMATS[vector_format],
        raw_vectors=raw_vectors,
        options=to_options(options),
    )


def embed_reply(response: pb.EmbedResponse, correlation_id: str) -> EmbedReply:
    """The reply of a response."""
    return EmbedReply(results=[_result(result) for result in response.results], **answered(response, correlation_id))


def _result(result: pb.EmbedResult) -> Embedded | ItemError:
    if result.WhichOneof("outcome") == "error":
        return ItemError(details_of(result.error))
    found = result.embedding
    read = (found.token_count, found.truncated, found.window_count, found.cached)
    if found.WhichOneof("vector") == "int8":
        packed, scale = found.int8.values, found.int8.scale
        return Embedded([value * scale for value in array("b", packed)], *read, packed, scale)
    return Embedded(list(found.float32.values), *read)
