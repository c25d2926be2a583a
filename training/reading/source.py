"""Texts with labels from every kind of source: file, folder of splits, or hub id."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from training.data_settings import DataSettings
from training.dataset import Example, Split
from training.failures import UnreadableData
from training.numbers import as_text, number_of
from training.reading.columnar import read_hub, read_parquet
from training.reading.columns import Columns, find_columns
from training.reading.delimited import read_delimited
from training.reading.json_lines import read_json_lines
from training.reading.places import files_of, named_split, own_files, split_word
from training.reading.relations import find_related_columns, related_example
from training.reading.table import Record, Table

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read. `unlabelled` counts rows without a label, which are left out; empty texts are cleaning's matter."""

    examples: list[Example]
    columns: Columns
    sources: list[str]
    encodings: dict[str, str] = field(default_factory=dict)
    unlabelled: int = 0
    notes: list[str] = field(default_factory=list)
    """What the person who made the data should know of how they were read."""


def read_labelled(settings: DataSettings) -> Reading:
    """Reads every text and label that `settings` names. Raises UnreadableData."""
    parts = list(_tables(settings))
    examples: list[Example] = []
    unlabelled = 0
    related = settings.relation is not None
    columns = (find_related_columns if related else find_columns)(parts[0][1], settings)
    for split, table in parts:
        _require(table, columns)
        for record in table.records:
            label = (record.values.get(columns.label) or "").strip() if columns.label is not None else ""
            if not label and settings.label_separator is None and columns.label is not None:
                unlabelled += 1
                continue
            example = _example(record, label, columns, table, split, settings)
            examples.append(related_example(example, record, columns) if related else example)
    if not (examples if related else any(example.given or example.value is not None for example in examples)):
        raise UnreadableData(
            f"{settings.path}: the column {columns.label!r} is empty in every row; there are no labels"
        )
    tables = [table for _, table in parts]
    encodings = {table.source: table.encoding for table in tables if table.encoding}
    return Reading(examples, columns, [table.source for table in tables], encodings, unlabelled)


def read_table(path: Path, encoding: str | None, separator: str | None = None) -> Table:
    """Reads one file by its suffix. With a `separator`, lists of labels are read as words that it separates."""
    if path.suffix not in SUFFIXES:
        more = "; tokens with tags are read for token_classification alone" if path.suffix in {".conll", ".bio"} else ""
        raise UnreadableData(f"{path}: the suffix must be one of {', '.join(SUFFIXES)}{more}")
    if path.suffix == ".parquet":
        return read_parquet(path, separator)
    json_lines = path.suffix in {".jsonl", ".ndjson"}
    table = read_json_lines(path, encoding, separator) if json_lines else read_delimited(path, encoding)
    if not table.records:
        raise UnreadableData(f"{path} has a header but no rows")
    return table


def _tables(settings: DataSettings) -> list[tuple[Split | None, Table]]:
    files = files_of(settings, SUFFIXES)
    if files is not None:
        return [(split, _file(path, settings)) for split, path in files]
    found = read_hub(settings.path, settings.label_separator)
    own = [(split, _file(path, settings)) for split, path in own_files(settings)]
    return [*((split_word(name), table) for name, table in found.items()), *own]


def _file(path: Path, settings: DataSettings) -> Table:
    return read_table(path, settings.encoding, settings.label_separator)


def _require(table: Table, columns: Columns) -> None:
    # negatives serve training alone: files of the other splits may lack them
    for name in (columns.text, columns.label, columns.text_pair):
        if name is not None and name not in table.columns:
            raise UnreadableData(f"{table.source} has no column {name!r}; it has {table.listed}")


def _labels(label: str, separator: str) -> tuple[str, ...]:
    """Each once, sorted, with single spaces."""
    return tuple(sorted({" ".join(part.split()) for part in label.split(separator)} - {""}))


def _number(label: str, record: Record, columns: Columns, table: Table, settings: DataSettings) -> float:
    try:
        value = number_of(label)
        if value < 0 and settings.label_kind == "relevance":
            raise ValueError(f"{label!r} is no relevance, which is 0 (irrelevant) or more")
        return value
    except ValueError as error:
        raise UnreadableData(
            f"{table.source}, line {record.line}, column {columns.label!r}: {error}; mend it, or empty the cell to leave the "
            "row out"
        ) from None


def _example(
    record: Record, label: str, columns: Columns, table: Table, split: Split | None, settings: DataSettings
) -> Example:
    if columns.split is not None:
        where = f"{table.source}, line {record.line}, column {columns.split!r}"
        split = named_split(record.values.get(columns.split) or "", where)
    used = {columns.text, columns.label, columns.text_pair, columns.split, columns.negative}
    separator = settings.label_separator
    labels = None if separator is None else _labels(label, separator)
    value = None if settings.label_kind == "class" else _number(label, record, columns, table, settings)
    if value is not None:
        label = as_text(value)
    return Example(
        text=record.values.get(columns.text) or "",
        label=label if labels is None else f" {separator} ".join(labels),
        labels=labels,
        value=value,
        text_pair=(record.values.get(columns.text_pair) or "") if columns.text_pair is not None else None,
        split=split,
        source=table.source,
        row=record.line,
        extra={name: value for name, value in record.values.items() if name not in used and value is not None},
    )
