"""The data report: what a person should know about the data before training on it."""

from __future__ import annotations

import statistics
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from training.cleaning import CleaningReport
from training.data_settings import DataSettings
from training.dataset import Dataset, Example, Split
from training.duplicates import Conflict, DuplicateReport, query_identity
from training.han import CHARACTER
from training.numbers import Scale, as_text
from training.reading import Reading

SAMPLES = 3
SHOWN = 20
BINS = (4, 8, 16, 32, 64, 128, 256, 512)
IMBALANCE = 10.0
SMALL_CLASS = 20
RANGES = 10


@dataclass(frozen=True, slots=True)
class Findings:
    """What the stages before the split noticed."""

    reading: Reading
    cleaning: CleaningReport
    duplicates: DuplicateReport
    leaks: dict[tuple[str, str], list[tuple[int, int]]]
    label_variants: list[list[str]]
    dropped_classes: dict[str, int]


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


def describe(settings: DataSettings, dataset: Dataset, findings: Findings, count_tokens: object) -> DataReport:
    """Puts the report together; `count_tokens` is a `training.preparation.CountTokens` or None."""
    examples = dataset.examples
    numbers = _numbers(dataset, examples)
    given = sorted({label for example in examples for label in example.given})
    classes = _classes(given, examples, _given) if numbers is None else _ranges(numbers, examples)
    lengths = _lengths(examples, count_tokens)
    columns = findings.reading.columns
    named_leaks = {f"{one} and {other}": len(rows) for (one, other), rows in findings.leaks.items()}
    return DataReport(
        path=settings.path,
        sources=findings.reading.sources,
        encodings=findings.reading.encodings,
        columns={name: getattr(columns, name) for name in ("text", "text_pair", "label", "split")},
        rows_read=len(findings.reading.examples) + findings.reading.unlabelled,
        rows_kept=len(examples),
        unlabelled=findings.reading.unlabelled,
        empty=len(findings.cleaning.empty),
        repairs=dict(findings.cleaning.changed),
        exact_duplicates=len(findings.duplicates.exact),
        near_duplicates=len(findings.duplicates.near),
        near_duplicate_rows=findings.duplicates.near[:SHOWN],
        conflicts=[_conflict(conflict) for conflict in findings.duplicates.conflicts],
        similar_with_other_label=findings.duplicates.similar_with_other_label,
        leaks=named_leaks,
        dropped_classes=findings.dropped_classes,
        splits={part.value: len(rows) for part, rows in dataset.parts.items()},
        classes=classes,
        numbers=numbers,
        queries=_queries(dataset) if settings.label_kind == "relevance" else {},
        lengths=lengths,
        warnings=[
            *findings.reading.notes,
            *([] if numbers is not None else _unequal(classes, _weighed(settings))),
            *_warnings(findings, named_leaks, lengths),
        ],
        fingerprint=dataset.fingerprint,
    )


def _weighed(settings: DataSettings) -> bool:
    """Whether rare classes count more by themselves."""
    return settings.label_kind == "class" and settings.label_separator is None


def _given(example: Example) -> tuple[str, ...]:
    return example.given


def _numbers(dataset: Dataset, examples: list[Example]) -> NumberReport | None:
    values = sorted(example.value for example in examples if example.value is not None)
    scale = Scale.of([example.value for example in dataset.train if example.value is not None]) if values else None
    if scale is None:
        return None
    median = statistics.median(values)
    return NumberReport(lowest=values[0], median=median, highest=values[-1], mean=scale.mean, deviation=scale.deviation)


def _queries(dataset: Dataset) -> dict[str, int]:
    return {part.value: len({query_identity(example) for example in rows}) for part, rows in dataset.parts.items()}


def _ranges(numbers: NumberReport, examples: list[Example]) -> list[ClassReport]:
    """One entry a number, or a tenth of the whole range where there are more than ten."""
    distinct = sorted({example.value for example in examples if example.value is not None})
    if len(distinct) <= RANGES:
        return _classes([as_text(value) for value in distinct], examples, lambda example: (example.label,))
    # halves, since the difference of two numbers may be too large for one
    width = numbers.highest / RANGES - numbers.lowest / RANGES
    edges = [numbers.lowest + width * position for position in range(RANGES)]
    names = [f"{low:.4g} to {high:.4g}" for low, high in zip(edges, [*edges[1:], numbers.highest], strict=True)]
    names = names if len(set(names)) == RANGES else [f"{position + 1}. {name}" for position, name in enumerate(names)]

    def place(example: Example) -> tuple[str, ...]:
        return () if example.value is None else (names[max(0, bisect_right(edges, example.value) - 1)],)

    return _classes(names, examples, place)


def _classes(labels: list[str], examples: list[Example], of: Callable[[Example], tuple[str, ...]]) -> list[ClassReport]:
    counts = Counter((label, example.split) for example in examples for label in of(example))
    samples: dict[str, list[str]] = {label: [] for label in labels}
    for example in examples:
        for label in of(example):
            if len(samples[label]) < SAMPLES:
                pair = f" ⟂ {example.text_pair}" if example.text_pair else ""
                samples[label].append(example.text + pair)
    return [
        ClassReport(
            label=label,
            train=counts[label, Split.TRAIN],
            validation=counts[label, Split.VALIDATION],
            test=counts[label, Split.TEST],
            samples=samples[label],
        )
        for label in labels
    ]


def _lengths(examples: list[Example], count_tokens: object) -> LengthReport:
    texts = [
        example.text if example.text_pair is None else f"{example.text} {example.text_pair}" for example in examples
    ]
    counts = sorted(count_tokens(texts) if callable(count_tokens) else map(estimated_words, texts))
    edges = [0, *BINS]
    histogram = [
        (f"{low + 1}-{high}", sum(low < n <= high for n in counts)) for low, high in zip(edges, BINS, strict=False)
    ]
    histogram.append((f"> {BINS[-1]}", sum(n > BINS[-1] for n in counts)))
    return LengthReport(
        unit="tokens" if callable(count_tokens) else "words (estimate)",
        median=counts[len(counts) // 2],
        percentile_95=counts[min(len(counts) - 1, int(len(counts) * 0.95))],
        longest=counts[-1],
        histogram=histogram,
    )


def estimated_words(text: str) -> int:
    """Words between spaces, each Chinese character counting as one; at least 1."""
    others, chinese = CHARACTER.subn(" ", text)
    return max(1, chinese + len(others.split()))


def _conflict(conflict: Conflict) -> ConflictReport:
    outcome = {None: "all rows dropped", "": "all rows kept"}.get(conflict.kept, f"kept as {conflict.kept!r}")
    return ConflictReport(text=conflict.text, labels=conflict.labels, rows=conflict.rows, outcome=outcome)


def _unequal(classes: list[ClassReport], weighed: bool) -> list[str]:
    warnings = []
    most = max(classes, key=lambda c: c.total, default=None)
    least = min(classes, key=lambda c: c.total, default=None)
    if most is not None and least is not None and most.total > IMBALANCE * least.total:
        warnings.append(
            f"{most.label!r} has {most.total} rows, {least.label!r} {least.total}: "
            + ("class weights are applied; more rows help more" if weighed else "more rows of the rare ones help")
        )
    if small := [each.label for each in classes if each.total < SMALL_CLASS]:
        warnings.append(
            f"{len(small)} classes have fewer than {SMALL_CLASS} rows ({', '.join(small[:5])}): their scores are noisy"
        )
    return warnings


def _warnings(findings: Findings, named_leaks: dict[str, int], lengths: LengthReport) -> list[str]:
    warnings = []
    if findings.duplicates.conflicts:
        warnings.append(f"{len(findings.duplicates.conflicts)} texts occur with different labels: review them")
    if findings.duplicates.similar_with_other_label:
        warnings.append(
            f"{findings.duplicates.similar_with_other_label} texts nearly repeat one with another label: review the labels"
        )
    warnings += [
        f"{count} texts stand in both {names}: the scores will flatter" for names, count in named_leaks.items()
    ]
    warnings += [
        f"the labels {', '.join(map(repr, names))} look like one label spelled differently"
        for names in findings.label_variants
    ]
    if findings.reading.unlabelled:
        warnings.append(f"{findings.reading.unlabelled} rows have no label and were left out")
    if lengths.unit == "tokens" and lengths.longest > BINS[-1]:
        warnings.append(
            f"the longest text has {lengths.longest} tokens: what exceeds max_length is not read by the model"
        )
    return warnings
