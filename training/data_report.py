"""The data report's parts, as data/report.json holds them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Report(BaseModel):
    """Base of the report's parts."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ClassReport(Report):
    """One label."""

    label: str
    train: int
    validation: int
    test: int
    samples: list[str]

    @property
    def total(self) -> int:
        """Rows over all splits."""
        return self.train + self.validation + self.test


class NumberReport(Report):
    """The numbers of the kept rows."""

    lowest: float
    median: float
    highest: float
    mean: float
    deviation: float
    """Standard deviation; as the mean, of the training rows."""


class LengthReport(Report):
    """Lengths of the kept texts. `unit` is tokens, or words when no tokenizer was given (a Chinese character counts as one)."""

    unit: Literal["tokens", "words (estimate)"]
    median: int
    percentile_95: int
    longest: int
    histogram: list[tuple[str, int]]
    """(range, rows)."""


class ConflictReport(Report):
    """One text with several labels."""

    text: str
    labels: dict[str, int]
    rows: list[int]
    outcome: str


class DataReport(Report):
    """All of it. Row numbers are lines of the source file."""

    path: str
    sources: list[str]
    encodings: dict[str, str]
    columns: dict[str, str | None]
    rows_read: int
    rows_kept: int
    unlabelled: int
    empty: int
    repairs: dict[str, int]
    exact_duplicates: int
    near_duplicates: int
    near_duplicate_rows: list[tuple[int, int]]
    conflicts: list[ConflictReport]
    similar_with_other_label: int
    leaks: dict[str, int]
    dropped_classes: dict[str, int]
    splits: dict[str, int]
    classes: list[ClassReport]
    """Where rows have numbers or a relevance: those that occur, or ranges of them, ascending."""
    numbers: NumberReport | None = None
    queries: dict[str, int] = {}
    """Of each split, where candidates have a relevance to them."""
    lengths: LengthReport
    warnings: list[str]
    fingerprint: str

    @property
    def listed_classes(self) -> list[ClassReport]:
        """The classes as reports list them: largest first, but numbers ascending."""
        return self.classes if self.numbers else sorted(self.classes, key=lambda each: -each.total)

    def to_json(self) -> str:
        """Indented JSON."""
        return self.model_dump_json(indent=2) + "\n"
