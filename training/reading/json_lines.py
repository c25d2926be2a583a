"""jsonl: one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from training.failures import UnreadableData
from training.reading.encodings import decode
from training.reading.table import Record, Table, joined


def read_json_lines(path: Path, encoding: str | None, separator: str | None = None) -> Table:
    """Reads a jsonl file. Columns are the keys in order of appearance; a key that a row lacks is None.

    With a `separator`, a list of words is read as one text in which it stands between them.
    """
    text, found = decode(path, encoding)
    columns: dict[str, None] = {}
    rows: list[Record] = []
    for number, value in objects(text, path):
        values = {key: _text(field, key, number, path, separator) for key, field in value.items()}
        columns.update(dict.fromkeys(values))
        rows.append(Record(number, values))
    if not rows:
        raise UnreadableData(f'{path} is empty: write one object a line, such as {{"text": "...", "label": "..."}}')
    return Table(str(path), list(columns), rows, found)


def objects(text: str, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and object of each line that is not blank. Raises UnreadableData for a line that is none."""
    # only real line ends: str.splitlines would also split at separators that may stand inside JSON strings
    for number, line in enumerate(text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n"), start=1):
        if line.strip():
            yield number, _object(line, number, path)


def check_characters(text: str, where: str) -> str:
    """The text itself. Raises UnreadableData where it holds half a character, which JSON can write and UTF-8 cannot."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UnreadableData(
            f"{where}, character {error.start + 1}: half of a surrogate pair (\\ud800 to \\udfff alone) is not text; write "
            "the whole character"
        ) from None
    return text


def _object(line: str, number: int, path: Path) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        where = f", character {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        message = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deep"
        raise UnreadableData(f"{path}, line {number}{where}: not JSON ({message}); write one object a line") from None
    except ValueError as error:  # an integer of more digits than Python converts
        raise UnreadableData(f"{path}, line {number}: {error}") from None
    if not isinstance(value, dict):
        raise UnreadableData(f"{path}, line {number}: not a JSON object; write one object a line")
    for key in value:
        check_characters(key, f"{path}, line {number}, column {key!r}")
    return value


def _text(value: object, key: str, number: int, path: Path, separator: str | None) -> str | None:
    """A scalar as text. Raises for objects and for lists that no separator joins, which no column here may hold."""
    if isinstance(value, list) and separator is not None:
        value = joined(value, separator, f"{path}, line {number}, column {key!r}")
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if not isinstance(value, str):
        raise UnreadableData(
            f"{path}, line {number}, column {key!r}: a nested {type(value).__name__}; a column must hold text or a number"
        )
    return check_characters(value, f"{path}, line {number}, column {key!r}")
