"""Requests and replies of the inference service as plain Python values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bertline.inference.v1 import inference_pb2 as pb

from services.clients.failures import ErrorDetails, details_of

Text = str | tuple[str, str]
"""A text, or a pair of texts."""


@dataclass(frozen=True, slots=True)
class Label:
    """A label and its calibrated probability."""

    name: str
    probability: float


@dataclass(frozen=True, slots=True)
class Classified:
    """Labels of one text, best first."""

    labels: list[Label]
    token_count: int
    truncated: bool

    @property
    def best(self) -> Label:
        """The most probable label."""
        return self.labels[0]


@dataclass(frozen=True, slots=True)
class ItemError:
    """Why one text has no labels; its neighbours do."""

    details: ErrorDetails


@dataclass(frozen=True, slots=True)
class Timings:
    """Server-side durations in milliseconds."""

    tokenization_ms: float
    queue_ms: float
    inference_ms: float
    total_ms: float


@dataclass(frozen=True, slots=True)
class ClassifyReply:
    """Results in the order of the texts, and the model that gave them.

    `correlation_id` is the word that the server's log lines of this call carry.
    """

    results: list[Classified | ItemError]
    model: str
    version: int
    variant: str
    timings: Timings
    correlation_id: str


def to_request(
    texts: Sequence[Text], model: str, version: int | None, label: str | None, top_k: int | None
) -> pb.ClassifyRequest:
    """Raises TypeError for a lone text, ValueError for both version and label or a text that is no Unicode."""
    if isinstance(texts, str):
        raise TypeError("texts is a sequence: for one text write [text]")
    if version is not None and label is not None:
        raise ValueError("give version or label, not both")
    selector = pb.ModelSelector(name=model)
    if version is not None:
        selector.version = version
    if label is not None:
        selector.label = label
    inputs = [_input(text, position) for position, text in enumerate(texts)]
    # the contract says 0 for "all labels"
    return pb.ClassifyRequest(model=selector, inputs=inputs, top_k=0 if top_k is None else top_k)


def _input(text: Text, position: int) -> pb.TextInput:
    try:
        return pb.TextInput(text=text) if isinstance(text, str) else pb.TextInput(text=text[0], text_pair=text[1])
    except UnicodeEncodeError as error:
        raise ValueError(f"texts[{position}] is no valid Unicode: {error.reason} at {error.start}") from None


def from_response(response: pb.ClassifyResponse, correlation_id: str) -> ClassifyReply:
    """The reply of a response."""
    model, timings = response.model, response.timings
    return ClassifyReply(
        [_result(result) for result in response.results],
        model.name,
        model.version,
        model.variant,
        Timings(
            timings.tokenization_us / 1e3, timings.queue_us / 1e3, timings.inference_us / 1e3, timings.total_us / 1e3
        ),
        correlation_id,
    )


def _result(result: pb.ClassifyResult) -> Classified | ItemError:
    if result.WhichOneof("outcome") == "error":
        return ItemError(details_of(result.error))
    classification = result.classification
    labels = [Label(each.label, each.probability) for each in classification.labels]
    return Classified(labels, classification.token_count, classification.truncated)
