"""From settings to a clean, split data set with its report: read -> clean -> deduplicate -> split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from training.cleaning import CleaningReport, clean
from training.data_report import DataReport
from training.data_settings import DataSettings
from training.dataset import Dataset, Example
from training.duplicates import (
    DuplicateReport,
    Progress,
    drop_exact,
    drop_near,
    identity,
    label_variants,
    leaks,
    query_identity,
    tie_queries,
)
from training.failures import UnusableData
from training.findings import Findings
from training.inspection import describe
from training.reading import Reading, read
from training.splitting import split
from training.tagging.annotation import annotated

CountTokens = Callable[[list[str]], list[int]]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What training needs. `pair` says that the examples are pairs of texts."""

    dataset: Dataset
    report: DataReport
    pair: bool


@dataclass(frozen=True, slots=True)
class DistinctRows:
    """Rows that were read, cleaned and deduplicated, not yet split."""

    examples: list[Example]
    groups: list[int]
    """The look-alike group of each row: rows of one group must not be torn apart."""
    reading: Reading
    cleaning: CleaningReport
    duplicates: DuplicateReport
    leaks: dict[tuple[str, str], list[tuple[int, int]]]
    dropped_classes: dict[str, int]

    @property
    def pair(self) -> bool:
        """Whether the examples are pairs of texts."""
        return self.reading.columns.text_pair is not None


def silent(task: str, done: int, total: int) -> None:
    """A progress listener that says nothing."""


def prepare(settings: DataSettings, count_tokens: CountTokens | None = None, progress: Progress = silent) -> Prepared:
    """Reads, cleans and splits. `count_tokens` maps texts to token counts for the length histogram.

    Raises UnreadableData or UnusableData, each naming what is wrong, where, and what to do.
    """
    rows = distinct_rows(settings, progress)
    dataset = split(rows.examples, rows.groups, settings)
    report = describe(settings, dataset, _findings(rows), count_tokens)
    return Prepared(dataset, report, rows.pair)


def _findings(rows: DistinctRows) -> Findings:
    return Findings(
        rows.reading, rows.cleaning, rows.duplicates, rows.leaks, label_variants(rows.examples), rows.dropped_classes
    )


def distinct_rows(settings: DataSettings, progress: Progress = silent) -> DistinctRows:
    """Reads, cleans and deduplicates; the order is that of the source. Raises UnreadableData or UnusableData."""
    reading = read(settings)
    progress("cleaning", 0, len(reading.examples))
    cleaned, cleaning = clean(reading.examples)
    progress("cleaning", len(reading.examples), len(reading.examples))
    duplicates = DuplicateReport()
    ranked = settings.label_kind == "relevance"
    related = settings.relation is not None
    # what keeps rows together when they are split is what must not stand in two of the user's splits
    found_leaks = leaks(cleaned, query_identity if ranked or related else identity)
    unique = drop_exact(cleaned, settings.conflicts, duplicates)
    unique, dropped = _without_rare(unique, settings)
    if ranked:
        # two candidates of a long query are always alike: only equal ones are duplicates
        kept, groups = unique, tie_queries(unique, settings.group_threshold, progress)
    else:
        # sentences that differ in their entities alone are not one: look-alikes only stay together
        threshold = 1.0 if settings.label_kind == "entities" else settings.near_duplicate_threshold
        kept, groups = drop_near(unique, threshold, settings.group_threshold, duplicates, progress, first_texts=related)
    _require_classes(kept, settings, cleaning)
    return DistinctRows(kept, groups, reading, cleaning, duplicates, found_leaks, dropped)


def _without_rare(examples: list[Example], settings: DataSettings) -> tuple[list[Example], dict[str, int]]:
    if not settings.drop_rare_classes:
        return examples, {}
    counts = Counter(label for example in examples for label in example.given)
    rare = {label: count for label, count in counts.items() if count < settings.min_rows_per_class}
    if counts and len(rare) == len(counts):
        raise UnusableData(
            f"{settings.path}: no label is left: all have fewer than {settings.min_rows_per_class} distinct rows, "
            f"{_shown(rare)}. Add rows, or merge labels"
        )
    if settings.label_kind == "entities":
        return [_without_types(example, rare) for example in examples], rare
    if settings.label_separator is None:
        return [example for example in examples if example.label not in rare], rare
    # a text keeps the labels that stay; without any left it would claim that none applies
    kept = [example for example in examples if not example.given or set(example.given) - set(rare)]
    return [_only(example, rare, settings.label_separator) for example in kept], rare


def _without_types(example: Example, rare: Mapping[str, int]) -> Example:
    return annotated(example, [entity for entity in example.entities or () if entity.label not in rare])


def _only(example: Example, rare: dict[str, int], separator: str) -> Example:
    labels = tuple(label for label in example.given if label not in rare)
    return replace(example, labels=labels, label=f" {separator} ".join(labels))


def _require_classes(examples: list[Example], settings: DataSettings, cleaning: CleaningReport) -> None:
    if not examples:
        raise UnusableData(f"{settings.path}: no text is left after cleaning ({len(cleaning.empty)} rows were empty)")
    counts = Counter(label for example in examples for label in example.given)
    if settings.label_separator is not None and max(len(example.given) for example in examples) < 2:
        raise UnusableData(
            f"{settings.path}: no row has several labels; say what separates them with --label-separator (now "
            f"{settings.label_separator!r}), or train for one label a text"
        )
    if settings.drop_rare_classes or len(counts) <= 1:
        return
    rare = {label: count for label, count in counts.items() if count < settings.min_rows_per_class}
    if rare:
        raise UnusableData(
            f"{settings.path}: {len(rare)} of {len(counts)} classes have fewer than {settings.min_rows_per_class} distinct "
            f"rows, too few for training, validation and test: {_shown(rare)}. Add rows, merge classes, or leave them out with "
            "--drop-rare-classes"
        )


def _shown(rare: Mapping[str, int]) -> str:
    ordered = sorted(rare.items(), key=lambda each: (each[1], each[0]))
    return ", ".join(f"{label!r} ({count})" for label, count in ordered[:10]) + (", ..." if len(rare) > 10 else "")
