"""csv and tsv (RFC 4180), with a fault named by line and column."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

from training.failures import UnreadableData
from training.reading.encodings import decode
from training.reading.table import Record, Table

if TYPE_CHECKING:
    from _csv import Reader

MAX_FIELD_CHARACTERS = 10_000_000
"""Longest field; an unclosed quote would otherwise swallow the rest of the file into one."""


def read_delimited(path: Path, encoding: str | None) -> Table:
    """Reads a csv or tsv file with a header. Raises UnreadableData naming the line and what is wrong with it."""
    text, found = decode(path, encoding)
    # universal newlines would rewrite those inside quoted fields, so csv gets the text as it is
    text = text.removeprefix("\ufeff")
    _refuse_nul(text, path)
    delimiter = "\t" if path.suffix == ".tsv" else _delimiter(text)
    csv.field_size_limit(MAX_FIELD_CHARACTERS)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    columns = _header(reader, path)
    records: list[Record] = []
    begin = reader.line_num + 1
    try:
        for fields in reader:
            if fields and any(fields):
                records.append(_record(fields, columns, begin, path))
            begin = reader.line_num + 1
    except csv.Error as error:
        raise UnreadableData(f"{path}, line {begin}: {_explain(error)}") from None
    return Table(str(path), columns, records, found)


def _header(reader: Reader, path: Path) -> list[str]:
    """Column names: the first line that is not blank."""
    try:
        columns = [name.strip() for name in next(fields for fields in reader if fields)]
    except StopIteration:
        raise UnreadableData(
            f"{path} is empty: give it a header line such as text,label and one row for each text"
        ) from None
    except csv.Error as error:
        raise UnreadableData(f"{path}, line {reader.line_num}: {_explain(error)}") from None
    for position, name in enumerate(columns, start=1):
        if not name:
            raise UnreadableData(
                f"{path}, line {reader.line_num}, column {position}: the column has no name; name it in the header"
            )
        if columns.index(name) != position - 1:
            raise UnreadableData(
                f"{path}, line {reader.line_num}, column {position}: a second column is named {name!r}; rename one"
            )
    return columns


def _record(fields: list[str], columns: list[str], line: int, path: Path) -> Record:
    if len(fields) != len(columns):
        last = min(len(fields), len(columns))
        near = columns[last - 1]
        more = "more" if len(fields) > len(columns) else "fewer"
        raise UnreadableData(
            f"{path}, line {line}, column {last} ({near}): {len(fields)} fields, {more} than the header's {len(columns)}; "
            "a text that holds the delimiter must stand in double quotes"
        )
    return Record(line, {name: value if value != "" else None for name, value in zip(columns, fields, strict=True)})


def _delimiter(text: str) -> str:
    """Comma unless the header line has none and has semicolons or tabs."""
    first = re.search(r"[^\r\n]+", text)
    header = first.group() if first else ""
    if "," in header:
        return ","
    return max(";\t", key=header.count) if any(mark in header for mark in ";\t") else ","


def _refuse_nul(text: str, path: Path) -> None:
    position = text.find("\0")
    if position >= 0:
        line = text.count("\n", 0, position) + 1
        column = position - text.rfind("\n", 0, position)
        raise UnreadableData(f"{path}, line {line}, character {column}: a NUL character; is this a text file in UTF-8?")


def _explain(error: csv.Error) -> str:
    message = str(error)
    if "unexpected end of data" in message:
        return 'a double quote is opened and never closed; close it, and write a quote inside a field as ""'
    if "expected after" in message:
        return 'a character follows a closing double quote; write a quote inside a field as ""'
    if "field larger" in message:
        return f"a field of more than {MAX_FIELD_CHARACTERS:,} characters, probably a double quote that is never closed"
    return message
