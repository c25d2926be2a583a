"""Texts without labels: a table of which only the texts count, or a plain file of one text a line."""

from __future__ import annotations

from pathlib import Path

from training.data_settings import DataSettings
from training.dataset import Example, Split
from training.failures import UnreadableData
from training.reading.columns import find_columns_but_labels
from training.reading.encodings import decode
from training.reading.places import named_split
from training.reading.source import SUFFIXES, read_table
from training.reading.table import Record, Table

PLAIN = ".txt"


def read_texts(path: Path, settings: DataSettings, pair: bool) -> list[Example]:
    """Examples with the label "", in the file's order; blank ones are cleaning's matter.

    Columns are found as for labelled rows, and `settings` name them. With `pair` the table must hold pairs of texts.
    Raises UnreadableData.
    """
    if not path.is_file():
        raise UnreadableData(f"{path} does not exist")
    if path.suffix not in {PLAIN, *SUFFIXES}:
        raise UnreadableData(f"{path}: the suffix must be one of {', '.join((PLAIN, *SUFFIXES))}")
    table = _lines(path, settings.encoding) if path.suffix == PLAIN else read_table(path, settings.encoding)
    columns = find_columns_but_labels(table, settings)
    if pair and columns.text_pair is None:
        raise UnreadableData(
            f"{path}: the rows in scope are pairs of texts, these are not; it has {', '.join(map(repr, table.columns))}"
        )
    return [
        Example(
            record.values.get(columns.text) or "",
            "",
            (record.values.get(columns.text_pair) or "") if pair and columns.text_pair is not None else None,
            None if columns.split is None else _split(record, columns.split, table),
            table.source,
            record.line,
        )
        for record in table.records
    ]


def _split(record: Record, column: str, table: Table) -> Split:
    return named_split(record.values.get(column) or "", f"{table.source}, line {record.line}, column {column!r}")


def _lines(path: Path, encoding: str | None) -> Table:
    text, found = decode(path, encoding)
    records = [Record(line, {"text": value}) for line, value in enumerate(text.splitlines(), 1) if value.strip()]
    if not records:
        raise UnreadableData(f"{path} holds no text")
    return Table(str(path), ["text"], records, found)
