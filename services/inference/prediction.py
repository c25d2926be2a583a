"""The types that travel through the pipeline: Query -> Encoded -> Prediction. Parsed once, never re-checked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.platform.failures import Failure


@dataclass(frozen=True, slots=True)
class ModelReference:
    """Which model a caller asks for. At most one of `version` and `label`; neither means the label "stable"."""

    name: str
    version: int | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True)
class TextInput:
    """A text, or a pair of texts, as the caller sent it."""

    text: str
    text_pair: str | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """One call. `top_k` None means all labels. `deadline` is in the event loop's clock, None means no deadline."""

    model: ModelReference
    inputs: list[TextInput]
    top_k: int | None
    deadline: float | None


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of one text, unpadded. Arrays are int64 of shape [tokens]."""

    input_ids: NDArray[np.int64]
    token_type_ids: NDArray[np.int64]
    truncated: bool
    attention_mask: NDArray[np.int64] | None = None
    """None: all ones. Only callers that send ids themselves bring a mask."""

    def __len__(self) -> int:
        return len(self.input_ids)


@dataclass(frozen=True, slots=True)
class LabelScore:
    """A label and its calibrated probability."""

    label: str
    probability: float


@dataclass(frozen=True, slots=True)
class Classification:
    """The best labels of one text. `probabilities` holds all of them, float32 [labels], in the model's order."""

    labels: list[LabelScore]
    probabilities: NDArray[np.float32]
    token_count: int
    truncated: bool


@dataclass(frozen=True, slots=True)
class Served:
    """The loaded model version that answered."""

    name: str
    version: int
    variant: str


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time of a call went, in seconds; queue and inference are the longest of the call's texts."""

    tokenization: float
    queue: float
    inference: float
    total: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """Answer to a query: one outcome for each input, in order; a Failure where a text could not be classified."""

    outcomes: list[Classification | Failure]
    served: Served
    timings: Timings
