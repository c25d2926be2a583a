"""What callers ask, parsed once and never re-checked: texts, options, and a query for each kind of call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum


class Truncation(Enum):
    """What to do with a text of more tokens than the model reads."""

    RIGHT = "right"
    LEFT = "left"
    ERROR = "error"


class Combination(Enum):
    """How the results of a text's windows become one: mean weighted by tokens, or the highest of each element."""

    MEAN = "mean"
    MAX = "max"


@dataclass(frozen=True, slots=True)
class Windows:
    """Long texts are read in windows that share `overlap` tokens (None: a quarter), at most `most` (0: as the server says)."""

    overlap: int | None = None
    combination: Combination = Combination.MEAN
    most: int = 0


class Priority(IntEnum):
    """Whose texts come first; the lowest number."""

    HIGH = 0
    NORMAL = 1
    LOW = 2


@dataclass(frozen=True, slots=True)
class Options:
    """What every query can set. `routing_key`: equal keys meet the same version while traffic is split."""

    truncation: Truncation = Truncation.RIGHT
    windows: Windows | None = None
    priority: Priority = Priority.NORMAL
    routing_key: str = ""


PLAIN = Options()


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
    """What every call says. `deadline` is in the event loop's clock, None means no deadline."""

    model: ModelReference
    deadline: float | None
    options: Options


@dataclass(frozen=True, slots=True)
class ClassifyQuery(Query):
    """Labels wanted: at most `top_k`, 0 means all; those less probable than `threshold` are left out.

    None leaves it to the model: the best label, or where a text can have several those that reach their own thresholds. With
    `coverage` instead of both: the set of labels that holds the right one at least so often.
    """

    inputs: Sequence[TextInput]
    top_k: int | None = None
    threshold: float | None = None
    coverage: float | None = None


class VectorFormat(Enum):
    """How vectors are encoded."""

    FLOAT32 = "float32"
    INT8 = "int8"


@dataclass(frozen=True, slots=True)
class EmbedQuery(Query):
    """Vectors wanted: the first `dimensions` elements (None: all), of length 1 unless `raw`."""

    inputs: Sequence[TextInput]
    dimensions: int | None = None
    format: VectorFormat = VectorFormat.FLOAT32
    raw: bool = False


@dataclass(frozen=True, slots=True)
class ScoreQuery(Query):
    """Candidates to be ranked against a text; the best `top_k` (None: all), none below `threshold`."""

    query: str
    candidates: Sequence[str]
    top_k: int | None = None
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class RegressQuery(Query):
    """Numbers wanted, one a text."""

    inputs: Sequence[TextInput]


class OffsetUnit(Enum):
    """What character offsets count."""

    CODE_POINT = "code points"
    UTF16 = "UTF-16 code units"
    UTF8 = "bytes of UTF-8"


@dataclass(frozen=True, slots=True)
class TagQuery(Query):
    """Entities wanted, none less probable than `threshold`; with `words`, each word's label, too."""

    inputs: Sequence[TextInput]
    threshold: float = 0.0
    words: bool = False
    unit: OffsetUnit = OffsetUnit.CODE_POINT


@dataclass(frozen=True, slots=True)
class ExplainQuery(Query):
    """Contributions of words to a label (None: the best one), with at most `evaluations` further readings of the text."""

    text: TextInput
    label: str | None
    evaluations: int
    top_k: int | None
    unit: OffsetUnit
