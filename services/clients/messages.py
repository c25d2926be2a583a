"""What requests and replies of every task have in common, as plain Python values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypedDict

from bertline.inference.v1 import inference_pb2 as pb

from services.clients.failures import ErrorDetails

Text = str | tuple[str, str]
"""A text, or a pair of texts."""


@dataclass(frozen=True, slots=True)
class ItemError:
    """Why one text has no result; its neighbours do."""

    details: ErrorDetails


@dataclass(frozen=True, slots=True)
class Timings:
    """Server-side durations in milliseconds."""

    tokenization_ms: float
    queue_ms: float
    inference_ms: float
    total_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The model that answered, and where the time went.

    `correlation_id` is the word that the server's log lines of this call carry.
    """

    model: str
    version: int
    variant: str
    timings: Timings
    correlation_id: str


class Answered(TypedDict):
    """The fields of `Reply`."""

    model: str
    version: int
    variant: str
    timings: Timings
    correlation_id: str


class Response(Protocol):
    """What every response says of its model and of time."""

    @property
    def model(self) -> pb.ModelInfo:
        """The model that answered."""

    @property
    def timings(self) -> pb.Timings:
        """Microseconds."""


def answered(response: Response, correlation_id: str) -> Answered:
    """The fields of `Reply` of a response."""
    model, timings = response.model, response.timings
    return {
        "model": model.name,
        "version": model.version,
        "variant": model.variant,
        "timings": Timings(
            timings.tokenization_us / 1e3, timings.queue_us / 1e3, timings.inference_us / 1e3, timings.total_us / 1e3
        ),
        "correlation_id": correlation_id,
    }


def selector(model: str, version: int | None, label: str | None) -> pb.ModelSelector:
    """Raises ValueError for both version and label."""
    if version is not None and label is not None:
        raise ValueError("give version or label, not both")
    chosen = pb.ModelSelector(name=model)
    if version is not None:
        chosen.version = version
    if label is not None:
        chosen.label = label
    return chosen


def inputs(texts: Sequence[Text], first: int = 0) -> list[pb.TextInput]:
    """Raises TypeError for a lone text, ValueError for one that is no Unicode; positions count from `first`."""
    refuse_lone(texts)
    return [input_of(text, f"texts[{position}]") for position, text in enumerate(texts, first)]


def refuse_lone(texts: object) -> None:
    """Raises TypeError for a string, which would be taken letter by letter."""
    if isinstance(texts, str):
        raise TypeError("texts are many: for one text write [text]")


def input_of(text: Text, name: str) -> pb.TextInput:
    """Raises ValueError, with the name, for a text that is no Unicode."""
    try:
        return pb.TextInput(text=text) if isinstance(text, str) else pb.TextInput(text=text[0], text_pair=text[1])
    except UnicodeEncodeError as error:
        raise ValueError(f"{name} is no valid Unicode: {error.reason} at {error.start}") from None


def unicode_of(text: str, name: str) -> str:
    """The text itself. Raises ValueError, with the name, when it is no Unicode."""
    return input_of(text, name).text
