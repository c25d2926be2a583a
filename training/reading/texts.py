"""Texts whose labels do not matter: a table of which only the texts count, or a plain file of one text a line."""

from __future__ import annotations

from pathlib import Path

from training.data_settings import DataSettings
from training.dataset import Example, Split
from training.failures import UnreadableData
from training.reading.columns import find_texts
from training.reading.encodings import decode
from training.reading.places import named_split
from training.reading.source import SUFFIXES, read_table
from training.reading.table import Record, Table

LINES = ".txt"
"""Suffix of files of one text a line."""
KNOWN = (LINES, *SUFFIXES)


def read_texts(path: Path, settings: DataSettings, pair: bool) -> list[Example]:
    """Examples with the label "", in the file's order; blank ones are cleaning's matter.

    Columns are found as for labelled rows, and `settings` name them. With `pair` the table must hold pairs of texts.
    Raises UnreadableData.
    """
    table = text_table(path, settings.encoding)
    columns = find_texts(table, settings)
    if pair and columns.text_pair is None:
        raise UnreadableData(
            f"{path}: the data has pairs of texts, this file has none among {table.listed}; name its "
            "columns as in the data"
        )
    if not any((record.values.get(columns.text) or "").strip() for record in table.records):
        raise UnreadableData(f"{path} holds no text")
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


def text_table(path: Path, encoding: str | None) -> Table:
    """The file as a table; the column of a file of lines is called `text`. Raises UnreadableData."""
    if not path.is_file():
        raise UnreadableData(f"{path} does not exist")
    if path.suffix not in KNOWN:
        raise UnreadableData(f"{path}: the suffix must be one of {', '.join(KNOWN)}")
    return _lines(path, encoding) if path.suffix == LINES else read_table(path, encoding)


def _split(record: Record, column: str, table: Table) -> Split:
    return named_split(record.values.get(column) or "", f"{table.source}, line {record.line}, column {column!r}")


def _lines(path: Path, encoding: str | None) -> Table:
    text, found = decode(path, encoding)
    text = text.removeprefix("\ufeff")
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UnreadableData(f"{path}, line {line}: a NUL character; is this a text file in UTF-8?")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return Table(str(path), ["text"], [Record(number, {"text": line}) for number, line in enumerate(lines, 1)], found)
