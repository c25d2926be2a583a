"""A table as it stood in a file: column names and records with their line numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Record:
    """One row. `line` is 1-based and where the record begins; `values` has one entry a column, None where empty."""

    line: int
    values: dict[str, str | None]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one file. `encoding` is empty for binary formats."""

    source: str
    columns: list[str]
    records: list[Record]
    encoding: str = ""
