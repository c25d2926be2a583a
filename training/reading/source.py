"""One door to every kind of source: file, folder of splits, or hub id."""

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
from training.reading.relations import find_related_columns, related_example
from training.reading.table import Record, Table

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
SPLIT_WORDS = {
    "train": Split.TRAIN,
    "training": Split.TRAIN,
    "validation": Split.VALIDATION,
    "valid": Split.VALIDATION,
    "val": Split.VALIDATION,
    "dev": Split.VALIDATION,
    "test": Split.TEST,
    "eval": Split.TEST,
}


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read. `unlabelled` counts rows without a label, which are left out; empty texts are cleaning's matter."""

    examples: list[Example]
    columns: Columns
    sources: list[str]
    encodings: dict[str, str] = field(default_factory=dict)
    unlabelled: int = 0


def read(settings: DataSettings) -> Reading:
    """Reads everything that `settings` names. Raises UnreadableData."""
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
        raise UnreadableData(f"{path}: the suffix must be one of {', '.join(SUFFIXES)}")
    if path.suffix == ".parquet":
        return read_parquet(path, separator)
    json_lines = path.suffix in {".jsonl", ".ndjson"}
    table = read_json_lines(path, encoding, separator) if json_lines else read_delimited(path, encoding)
    if not table.records:
        raise UnreadableData(f"{path} has a header but no rows")
    return table


def _tables(settings: DataSettings) -> list[tuple[Split | None, Table]]:
    path = Path(settings.path)
    if path.is_dir():
        return _folder(path, settings)
    if path.is_file():
        tables: list[tuple[Split | None, Table]] = [(None, _file(path, settings))]
    elif path.suffix in SUFFIXES or settings.path.startswith((".", "/")):
        raise UnreadableData(f"{settings.path} does not exist")
    else:
        found = read_hub(settings.path, settings.label_separator)
        tables = [(_split_word(name), table) for name, table in found.items()]
    for split, other in ((Split.VALIDATION, settings.validation_path), (Split.TEST, settings.test_path)):
        if other is not None:
            if not Path(other).is_file():
                raise UnreadableData(f"{other} does not exist")
            tables.append((split, _file(Path(other), settings)))
    return tables


def _file(path: Path, settings: DataSettings) -> Table:
    return read_table(path, settings.encoding, settings.label_separator)


def _folder(folder: Path, settings: DataSettings) -> list[tuple[Split | None, Table]]:
    """Files named after splits; the training file comes first, since its columns lead."""
    files = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES and path.stem.casefold() in SPLIT_WORDS)
    found = {SPLIT_WORDS[path.stem.casefold()]: path for path in files}
    if len(found) < len(files):
        raise UnreadableData(f"{folder}: two files for one split among {', '.join(path.name for path in files)}")
    if Split.TRAIN not in found:
        raise UnreadableData(f"{folder} has no train file: expected train.csv (or {', '.join(SUFFIXES[1:])})")
    return [(split, _file(found[split], settings)) for split in Split if split in found]


def split_of(record: Record, column: str, table: Table) -> Split:
    """The split that a row says it belongs to. Raises UnreadableData for a word that is none."""
    word = record.values.get(column) or ""
    split = _split_word(word)
    if split is None:
        known = ", ".join(SPLIT_WORDS)
        raise UnreadableData(
            f"{table.source}, line {record.line}, column {column!r}: {word!r} is no split; use one of {known}"
        )
    return split


def _split_word(word: str) -> Split | None:
    return SPLIT_WORDS.get(word.strip().casefold())


def _require(table: Table, columns: Columns) -> None:
    for name in (columns.text, columns.label, columns.text_pair, columns.negative):
        if name is not None and name not in table.columns:
            raise UnreadableData(f"{table.source} has no column {name!r}; it has {', '.join(map(repr, table.columns))}")


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
        split = split_of(record, columns.split, table)
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
