"""Requests and replies of Regress as plain Python values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bertline.inference.v1 import inference_pb2 as pb

from services.clients.failures import details_of
from services.clients.messages import ItemError, Reply, Text, answered, inputs, selector
from services.clients.options import Options, to_options


@dataclass(frozen=True, slots=True)
class Regressed:
    """The number of one text, in the units of the training data."""

    value: float
    token_count: int
    truncated: bool
    window_count: int = 1
    cached: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressReply(Reply):
    """Results in the order of the texts."""

    results: list[Regressed | ItemError]


def regress_request(
    texts: Sequence[Text], model: str, version: int | None, label: str | None, options: Options | None
) -> pb.RegressRequest:
    """Raises TypeError or ValueError for arguments that make no sense."""
    return pb.RegressRequest(model=selector(model, version, label), inputs=inputs(texts), options=to_options(options))


def regress_reply(response: pb.RegressResponse, correlation_id: str) -> RegressReply:
    """The reply of a response."""
    return RegressReply(results=[_result(result) for result in response.results], **answered(response, correlation_id))


def _result(result: pb.RegressResult) -> Regressed | ItemError:
    if result.WhichOneof("outcome") == "error":
        return ItemError(details_of(result.error))
    found = result.regression
    return Regressed(found.value, found.token_count, found.truncated, found.window_count, found.cached)
