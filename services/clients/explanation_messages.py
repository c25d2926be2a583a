"""Requests and replies of Explain as plain Python values."""

from __future__ import annotations

from dataclasses import dataclass

from bertline.inference.v1 import inference_pb2 as pb

from services.clients.messages import Reply, Text, answered, input_of, selector
from services.clients.options import OFFSET_UNITS, OffsetUnit, Options, to_options


@dataclass(frozen=True, slots=True)
class Contribution:
    """What neighbouring words did for the label: above 0 they speak for it. `raw` does not saturate."""

    text: str
    start: int
    end: int
    probability: float
    raw: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainReply(Reply):
    """Contributions to the probability of one label: in the text's order, or with top_k the strongest first."""

    label: str
    probability: float
    words: list[Contribution]
    evaluation_count: int
    token_count: int
    truncated: bool


def explain_request(
    text: Text,
    model: str,
    version: int | None,
    label: str | None,
    target: str | None,
    max_evaluations: int | None,
    top_k: int | None,
    offset_unit: OffsetUnit,
    options: Options | None,
) -> pb.ExplainRequest:
    """Raises ValueError for arguments that make no sense."""
    return pb.ExplainRequest(
        model=selector(model, version, label),
        input=input_of(text, "text"),
        label=target,
        max_evaluations=max_evaluations,
        top_k=top_k,
        offset_unit=OFFSET_UNITS[offset_unit],
        options=to_options(options),
    )


def explain_reply(response: pb.ExplainResponse, correlation_id: str) -> ExplainReply:
    """The reply of a response."""
    return ExplainReply(
        label=response.label,
        probability=response.probability,
        words=[
            Contribution(each.text, each.start, each.end, each.contribution, each.raw_contribution)
            for each in response.words
        ],
        evaluation_count=response.evaluation_count,
        token_count=response.token_count,
        truncated=response.truncated,
        **answered(response, correlation_id),
    )
