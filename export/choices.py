"""Which variant is the best on which class of hosts, and what was measured there: part of a manifest, and choices.json. Pure.

A bundle never changes, so it holds the choice for the host that made it. What other hosts measure later is added to
`<registry>/<name>/choices.json`, by version; for one class of hosts, what stands there wins over the manifest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from export.host_class import HOST_CLASS_PATTERN, nearest

CHOICES = "choices.json"
Goal = Literal["latency", "throughput"]
"""What a server is for: one text as soon as possible, or as many as possible."""
GOALS: tuple[Goal, ...] = ("latency", "throughput")
Found = Literal["host_class", "family"]
"""Whether a choice was made for the class of hosts that asks, or for its next relative."""


class Stated(BaseModel):
    """Frozen and closed, as the manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Relative(Stated):
    """Time for the same texts over that of the variant that all are compared with: below 1 is faster.

    Taken in each round anew, so that what slows the machine for a while slows both: the median of the rounds, and bounds
    between which the true median lies with 95 %.
    """

    ratio: float = Field(gt=0)
    low: float = Field(gt=0)
    high: float = Field(gt=0)


class Latency(Stated):
    """A text alone, in milliseconds, tokenization not included; of the texts' lengths the median, and the 99th percentile."""

    median_ms: float = Field(gt=0)
    p99_ms: float = Field(gt=0)
    relative: Relative


class Figures(Stated):
    """What one variant does on a host."""

    variant: str
    narrow: Latency
    """On one thread, in processor time; on a GPU, on the clock."""
    wide: Latency | None
    """On all cores, on the clock. None with a single core, and on a GPU."""
    batch: int = Field(ge=1)
    """Texts of a batch, sorted by length: the smallest that is within 3 % of the fastest."""
    texts_per_second: float = Field(gt=0)
    """In such batches, tokenization not included: of one core, by its processor time; on a GPU, of the GPU."""
    throughput: Relative


class Lengths(Stated):
    """Tokens a text of the traffic that was measured for."""

    source: str
    texts: int = Field(ge=1)
    median: int = Field(ge=1)
    p99: int = Field(ge=1)


class HostChoice(Stated):
    """The variants to take on one class of hosts."""

    host_class: str = Field(pattern=HOST_CLASS_PATTERN)
    latency: str
    """Name of the variant."""
    throughput: str
    reasons: dict[Goal, str]
    """Why these, for people."""
    measured: list[Figures] = Field(min_length=1)
    """Of each variant that was compared."""
    refused: dict[str, str] = Field(default={})
    """Variant that was not compared -> why, such as wrong golden answers."""
    reference: str
    """The variant that ratios are relative to."""
    lengths: Lengths
    rounds: int = Field(ge=1)
    processor: str
    """Or GPU."""
    cores: int = Field(ge=1)
    quiet: bool
    """Whether others left the cores alone."""
    onnxruntime: str
    create_time: str

    @model_validator(mode="after")
    def _measured_ones(self) -> HostChoice:
        names = [figures.variant for figures in self.measured]
        for name in (self.latency, self.throughput, self.reference):
            if name not in names:
                raise ValueError(f"variant {name} was not measured")
        return self

    def variant(self, goal: Goal) -> str:
        """The one for a goal."""
        return self.latency if goal == "latency" else self.throughput

    def ranking(self, goal: Goal) -> list[str]:
        """The one for a goal, then the others by what was measured, fastest first."""

        def ratio(figures: Figures) -> float:
            return (figures.narrow.relative if goal == "latency" else figures.throughput).ratio

        best = self.variant(goal)
        others = [each.variant for each in sorted(self.measured, key=ratio) if each.variant != best]
        return [best, *others]


class Choices(Stated):
    """Content of choices.json: version -> choices that were made after it was published."""

    schema_version: Literal[1] = 1
    versions: dict[Annotated[int, Field(ge=1)], list[HostChoice]] = Field(default={})

    def with_choice(self, version: int, choice: HostChoice) -> Choices:
        """With a choice of a version, in the place of an earlier one for the same class."""
        return Choices(versions={**self.versions, version: merged(self.versions.get(version, []), [choice])})


def merged(earlier: Sequence[HostChoice], later: Sequence[HostChoice]) -> list[HostChoice]:
    """One choice a class, the later one, by class."""
    found = {choice.host_class: choice for choice in (*earlier, *later)}
    return [found[each] for each in sorted(found)]


def choice_for(host_class: str, choices: Sequence[HostChoice]) -> tuple[HostChoice, Found] | None:
    """That of the class, or of the next class of its family; None without one."""
    known = {choice.host_class: choice for choice in choices}
    found = nearest(host_class, list(known))
    return None if found is None else (known[found], "host_class" if found == host_class else "family")
