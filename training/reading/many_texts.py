"""All texts of several files, or folders of files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.failures import UnreadableData
from training.reading.columns import find_text_columns
from training.reading.texts import KNOWN, text_table


@dataclass(frozen=True, slots=True)
class Texts:
    """What was read, in the order of the files; empty texts are cleaning's matter."""

    texts: list[str]
    encodings: dict[str, str]
    """File -> encoding, of text files."""


def read_all_texts(paths: Iterable[str], column: str | None, encoding: str | None) -> Texts:
    """Reads the texts of every file. `column` names theirs in tables; lines are called `text`. Raises UnreadableData."""
    texts: list[str] = []
    encodings: dict[str, str] = {}
    for file in _files(paths):
        table = text_table(file, encoding)
        columns = find_text_columns(table, column)
        texts += [text for record in table.records for name in columns if (text := record.values.get(name))]
        if table.encoding:
            encodings[table.source] = table.encoding
    return Texts(texts, encodings)


def _files(paths: Iterable[str]) -> Sequence[Path]:
    files: list[Path] = []
    for path in map(Path, paths):
        if not path.is_dir():
            files.append(path)
            continue
        inside = sorted(child for child in path.iterdir() if child.suffix in KNOWN)
        if not inside:
            raise UnreadableData(f"{path} has no file of texts: expected {', '.join(KNOWN)}")
        files += inside
    return files
