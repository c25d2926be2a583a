"""A table as it stood in a file: column names and records with their line numbers."""

from __future__ import annotations

from dataclasses import dataclass

from training.failures import UnreadableData


@dataclass(frozen=True, slots=True)
class Record:
    """One row. `line` is 1-based and where the record begins; `values` has one entry a column, None where empty."""

    line: int
    values: dict[str, str | None]


def joined(values: list[object], separator: str, where: str) -> object:
    """A list of words as one text, with the separator between them; a list that holds lists or objects as it is.

    Raises UnreadableData for a word that holds the separator: it would come apart again.
    """
    if any(isinstance(each, list | dict) for each in values):
        return values
    words = [str(each) for each in values if each is not None]
    if torn := next((word for word in words if separator in word), None):
        raise UnreadableData(
            f"{where}: {torn[:80]!r} holds the separator {separator!r}; choose another one with --label-separator"
        )
    return separator.join(words)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one file. `encoding` is empty for binary formats."""

    source: str
    columns: list[str]
    records: list[Record]
    encoding: str = ""

    @property
    def by_name(self) -> dict[str, str]:
        """The columns by their names without case."""
        return {name.casefold(): name for name in self.columns}

    @property
    def listed(self) -> str:
        """The columns, for messages."""
        return ", ".join(map(repr, self.columns)) or "no columns"
