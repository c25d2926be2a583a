"""Requests and replies of Classify as plain Python values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bertline.inference.v1 import inference_pb2 as pb

from services.clients.failures import details_of
from services.clients.messages import ItemError, Reply, Text, answered, inputs, selector
from services.clients.options import Options, to_options


@dataclass(frozen=True, slots=True)
class Label:
    """A label and its calibrated probability; `raw_score` is the logit behind it, where it was asked for."""

    name: str
    probability: float
    raw_score: float | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """Whether a text is about something else than all of the labels: its `score` is then above the `threshold`."""

    out_of_scope: bool
    score: float
    threshold: float


@dataclass(frozen=True, slots=True)
class Classified:
    """Labels of one text, best first. `cached`: the server remembered them. `scope`: None where the model does not tell."""

    labels: list[Label]
    token_count: int
    truncated: bool
    window_count: int = 1
    cached: bool = False
    scope: Scope | None = None

    @property
    def best(self) -> Label:
        """The most probable label. Raises IndexError when none applies, or none reached the threshold."""
        return self.labels[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifyReply(Reply):
    """Results in the order of the texts."""

    results: list[Classified | ItemError]


def classify_request(
    texts: Sequence[Text],
    model: str,
    version: int | None,
    label: str | None,
    top_k: int | None,
    threshold: float | None = None,
    raw_scores: bool = False,
    options: Options | None = None,
    first: int = 0,
    coverage: float | None = None,
) -> pb.ClassifyRequest:
    """Raises TypeError or ValueError for arguments that make no sense; positions of texts count from `first`."""
    return pb.ClassifyRequest(
        model=selector(model, version, label),
        inputs=inputs(texts, first),
        top_k=top_k,
        threshold=threshold,
        raw_scores=raw_scores,
        options=to_options(options),
        coverage=coverage,
    )


def classify_reply(response: pb.ClassifyResponse, correlation_id: str) -> ClassifyReply:
    """The reply of a response."""
    return ClassifyReply(results=results_of(response), **answered(response, correlation_id))


def results_of(response: pb.ClassifyResponse) -> list[Classified | ItemError]:
    """The results of a response, in its order."""
    return [_result(result) for result in response.results]


def _result(result: pb.ClassifyResult) -> Classified | ItemError:
    if result.WhichOneof("outcome") == "error":
        return ItemError(details_of(result.error))
    found = result.classification
    labels = [
        Label(each.label, each.probability, each.raw_score if each.HasField("raw_score") else None)
        for each in found.labels
    ]
    scope = None
    if found.HasField("scope"):
        scope = Scope(found.scope.out_of_scope, found.scope.score, found.scope.threshold)
    return Classified(labels, found.token_count, found.truncated, found.window_count, found.cached, scope)
