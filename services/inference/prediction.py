"""What becomes of a query on its way through the pipeline: readings, results, and the prediction that answers it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from services.platform.failures import Failure


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of one window of a text, unpadded. Arrays are int64 of shape [tokens]."""

    input_ids: NDArray[np.int64]
    token_type_ids: NDArray[np.int64] | None = None
    """None: all zeros, as in every single text."""
    attention_mask: NDArray[np.int64] | None = None
    """None: all ones. Only callers that send ids themselves bring a mask."""

    def __len__(self) -> int:
        return len(self.input_ids)

    def key(self) -> bytes:
        """Equal for rows that a model cannot tell apart."""
        key = self.input_ids.tobytes()
        if self.token_type_ids is not None and self.token_type_ids.any():
            key += b"t" + self.token_type_ids.tobytes()
        if self.attention_mask is not None:
            key += b"m" + self.attention_mask.tobytes()
        return key


Span = tuple[int, int]
"""Characters [start, end) of a text, in code points."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a text is read: one window, or several that overlap.

    `spans` and `words` stand beside the tokens of each window: the characters of a token and the number of its word;
    None for special tokens. They are there only where they were asked for.
    """

    windows: list[Encoded]
    token_count: int
    truncated: bool
    spans: list[list[Span | None]] | None = None
    words: list[list[int | None]] | None = None


@dataclass(frozen=True, slots=True)
class LabelScore:
    """A label, its calibrated probability, and the logit behind it."""

    label: str
    probability: float
    raw_score: float


@dataclass(frozen=True, slots=True)
class Read:
    """What every result says of how its text was read."""

    token_count: int
    truncated: bool
    window_count: int


@dataclass(frozen=True, slots=True)
class Scope:
    """Whether a text is about something else than all of the labels: so it is if its score is above the threshold."""

    out_of_scope: bool
    score: float
    threshold: float


@dataclass(frozen=True, slots=True)
class Classification(Read):
    """The best labels of one text. `probabilities` holds all of them, float32 [labels], in the model's order.

    `scope` is None for models that do not tell texts out of scope.
    """

    labels: list[LabelScore]
    probabilities: NDArray[np.float32]
    cached: bool = False
    scope: Scope | None = None


@dataclass(frozen=True, slots=True)
class Embedding(Read):
    """A vector: float32 [dimensions], or int8 [dimensions] of which each stands for itself times `scale`."""

    vector: NDArray[np.float32] | NDArray[np.int8]
    scale: float = 1.0
    cached: bool = False


@dataclass(frozen=True, slots=True)
class CandidateScore(Read):
    """Score of one candidate; `raw_score` is the logit behind it, None for cosines."""

    score: float
    raw_score: float | None


@dataclass(frozen=True, slots=True)
class Regression(Read):
    """The number of one text, in the units of the training data."""

    value: float
    cached: bool = False


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate's place: its position in the query, and its score, or why it has none."""

    index: int
    outcome: CandidateScore | Failure


@dataclass(frozen=True, slots=True)
class TaggedWord:
    """A word, in the caller's offset unit, and the BIO label of its first token."""

    label: str
    start: int
    end: int
    probability: float


@dataclass(frozen=True, slots=True)
class Entity:
    """A stretch of text with a meaning: label without prefix, offsets in the caller's unit, mean probability of its words."""

    label: str
    start: int
    end: int
    text: str
    probability: float


@dataclass(frozen=True, slots=True)
class Tags(Read):
    """Entities of one text, in its order; `words` is empty unless asked for."""

    entities: list[Entity]
    words: list[TaggedWord]


@dataclass(frozen=True, slots=True)
class WordAttribution:
    """What neighbouring words did for a label: probability, and logit, with them less without them."""

    text: str
    start: int
    end: int
    contribution: float
    raw_contribution: float


@dataclass(frozen=True, slots=True)
class Explanation(Read):
    """Contributions to the probability of one label."""

    label: str
    probability: float
    words: list[WordAttribution]
    evaluation_count: int


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


Outcome = TypeVar("Outcome")


@dataclass(frozen=True, slots=True)
class Prediction(Generic[Outcome]):
    """Answer to a query: one outcome for each input, in order; a Failure where a text could not be answered."""

    outcomes: Sequence[Outcome | Failure]
    served: Served
    timings: Timings
