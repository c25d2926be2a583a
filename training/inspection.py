"""Inspects the rows: what a person should know about the data before training on it."""

from __future__ import annotations

import statistics
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable

from training.data_report import (
    ClassReport,
    ConflictReport,
    DataReport,
    LengthReport,
    NumberReport,
)
from training.data_settings import DataSettings
from training.data_warnings import unequal_classes, warnings_of
from training.dataset import Dataset, Example, Split
from training.duplicates import Conflict, query_identity
from training.findings import Findings
from training.han import CHARACTER
from training.numbers import Scale, as_text

SAMPLES = 3
SHOWN = 20
BINS = (4, 8, 16, 32, 64, 128, 256, 512)
RANGES = 10


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
            *([] if numbers is not None else unequal_classes(classes, _weighed(settings))),
            *warnings_of(findings, named_leaks, lengths),
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
