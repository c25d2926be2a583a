"""Texts without labels, from files of lines, tables, or folders of both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.failures import UnreadableData
from training.reading.columns import find_text_columns
from training.reading.encodings import decode
from training.reading.source import SUFFIXES, read_table
from training.reading.table import Record, Table

LINES = ".txt"
"""Suffix of files of one text a line."""


@dataclass(frozen=True, slots=True)
class Texts:
    """What was read, in the order of the files; empty texts are cleaning's matter."""

    texts: list[str]
    encodings: dict[str, str]
    """File -> encoding, of text files."""


def read_texts(paths: Iterable[str], column: str | None, encoding: str | None) -> Texts:
    """Reads the texts of every file. `column` names theirs in tables. Raises UnreadableData."""
    texts: list[str] = []
    encodings: dict[str, str] = {}
    for file in _files(paths):
        table = _lines(file, encoding) if file.suffix == LINES else read_table(file, encoding)
        columns = ("text",) if file.suffix == LINES else find_text_columns(table, column)
        texts += [text for record in table.records for name in columns if (text := record.values.get(name))]
        if table.encoding:
            encodings[table.source] = table.encoding
    return Texts(texts, encodings)


def _files(paths: Iterable[str]) -> Sequence[Path]:
    known = (LINES, *SUFFIXES)
    files: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(child for child in path.iterdir() if child.suffix in known)
            if not inside:
                raise UnreadableData(f"{path} has no file of texts: expected {', '.join(known)}")
            files += inside
        elif not path.is_file():
            raise UnreadableData(f"{path} does not exist")
        elif path.suffix not in known:
            raise UnreadableData(f"{path}: the suffix must be one of {', '.join(known)}")
        else:
            files.append(path)
    return files


def _lines(path: Path, encoding: str | None) -> Table:
    text, found = decode(path, encoding)
    text = text.removeprefix("\ufeff")
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UnreadableData(f"{path}, line {line}: a NUL character; is this a text file in UTF-8?")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return Table(str(path), ["text"], [Record(number, {"text": line}) for number, line in enumerate(lines, 1)], found)
