"""Texts that prove an encoder's variants, or that two bundles are asked: those of a file, each once."""

from __future__ import annotations

from pathlib import Path

from training.failures import UnreadableData
from training.reading.columns import TEXT_NAMES
from training.reading.source import read_table
from training.reading.table import Table

LEAST = 16


def read_texts(path: str, column: str | None, least: int = LEAST) -> list[str]:
    """Raises UnreadableData when there is no such file or column, or when the texts are too few to prove anything."""
    if not Path(path).is_file():
        raise UnreadableData(f"{path} does not exist: give a file of texts with --texts")
    table = read_table(Path(path), None)
    name = text_column(table, column)
    values = (record.values.get(name) for record in table.records)
    texts = list(dict.fromkeys(value for value in values if value and not value.isspace()))
    if len(texts) < least:
        raise UnreadableData(f"{path}: {len(texts)} texts in the column {name!r} prove nothing; give {least} or more")
    return texts


def text_column(table: Table, asked: str | None) -> str:
    """The column that is asked for, or else the one that is named as texts are. Raises UnreadableData."""
    listed = ", ".join(map(repr, table.columns))
    if asked is not None:
        if asked not in table.columns:
            raise UnreadableData(f"{table.source} has no column {asked!r}; it has {listed}")
        return asked
    by_name = {name.casefold(): name for name in table.columns}
    found = next((by_name[name] for name in TEXT_NAMES if name in by_name), None)
    if found is None and len(table.columns) == 1:
        return table.columns[0]
    if found is None:
        raise UnreadableData(f"{table.source}: which column is the text, of {listed}? Name it with --text")
    return found
