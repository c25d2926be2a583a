"""Requests and replies of Score as plain Python values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bertline.inference.v1 import inference_pb2 as pb

from services.clients.failures import details_of
from services.clients.messages import ItemError, Reply, answered, selector, unicode_of
from services.clients.options import Options, to_options


@dataclass(frozen=True, slots=True)
class Scored:
    """A candidate: its position in the call, and its relevance in [0, 1] (cosine in [-1, 1] for embedding models)."""

    index: int
    score: float
    token_count: int
    truncated: bool
    window_count: int = 1
    raw_score: float | None = None


@dataclass(frozen=True, slots=True)
class Unscored(ItemError):
    """A candidate that has no score: its position in the call, and why."""

    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreReply(Reply):
    """Best first; those that failed last."""

    results: list[Scored | Unscored]


def score_request(
    query: str,
    candidates: Sequence[str],
    model: str,
    version: int | None,
    label: str | None,
    top_k: int | None,
    threshold: float | None,
    raw_scores: bool,
    options: Options | None,
) -> pb.ScoreRequest:
    """Raises TypeError or ValueError for arguments that make no sense."""
    if isinstance(candidates, str):
        raise TypeError("candidates is a sequence: for one candidate write [candidate]")
    return pb.ScoreRequest(
        model=selector(model, version, label),
        query=unicode_of(query, "query"),
        candidates=[unicode_of(text, f"candidates[{position}]") for position, text in enumerate(candidates)],
        top_k=top_k,
        threshold=threshold,
        raw_scores=raw_scores,
        options=to_options(options),
    )


def score_reply(response: pb.ScoreResponse, correlation_id: str) -> ScoreReply:
    """The reply of a response."""
    return ScoreReply(results=[_result(result) for result in response.results], **answered(response, correlation_id))


def _result(result: pb.ScoreResult) -> Scored | Unscored:
    if result.WhichOneof("outcome") == "error":
        return Unscored(details_of(result.error), result.index)
    found = result.score
    raw = found.raw_score if found.HasField("raw_score") else None
    return Scored(result.index, found.score, found.token_count, found.truncated, found.window_count, raw)
