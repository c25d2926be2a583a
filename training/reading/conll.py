"""Files in columns, as of the CoNLL shared tasks: a token a line, its tag at the end, a blank line between sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from training.failures import UnreadableData
from training.reading.encodings import decode
from training.tagging.schemes import OUTSIDE, is_tag

GAP = re.compile(r"[ \t]+")
"""Not the spaces of Unicode, which can be tokens."""
DOCUMENT = "-DOCSTART-"
NO_TAG = "the tag {!r} is neither O nor a type behind B-, I- (or E-, S-, L-, U-, M-), such as B-CITY"


@dataclass(frozen=True, slots=True)
class Sentence:
    """Tokens and their tags, with the line that each stands in; tags are O, or have one of the known prefixes."""

    tokens: list[str]
    tags: list[str]
    lines: list[int]


def read_conll(path: Path, encoding: str | None) -> tuple[list[Sentence], str]:
    """The sentences of the file, and its encoding. Raises UnreadableData naming the line and what is wrong with it."""
    text, found = decode(path, encoding)
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    sentences = list(_sentences(lines, path))
    if not sentences:
        raise UnreadableData(f"{path} is empty: write a token and its tag a line, such as `Paris B-CITY`")
    return sentences, found


def _sentences(lines: list[str], path: Path) -> Iterator[Sentence]:
    sentence = Sentence([], [], [])
    for number, line in enumerate([*lines, ""], start=1):
        columns = _columns(line)
        if columns and columns[0] != DOCUMENT and not _is_comment(line, columns):
            token, tag = _token(columns, line, number, path)
            sentence.tokens.append(token)
            sentence.tags.append(tag)
            sentence.lines.append(number)
        elif (not columns or columns[0] == DOCUMENT) and sentence.tokens:
            yield sentence
            sentence = Sentence([], [], [])


def _columns(line: str) -> list[str]:
    """Parted by tabs where there are any, so that a token may be or hold a space; else by white space."""
    if not line.strip(" \t"):
        return []
    return line.strip("\n").split("\t") if "\t" in line.strip(" \t") else GAP.split(line.strip(" \t"))


def _is_comment(line: str, columns: list[str]) -> bool:
    """A line after #, unless it ends in a tag: `#metoo O` is a token."""
    return line.startswith("#") and (len(columns) < 2 or not is_tag(columns[-1].strip()))


def _token(columns: list[str], line: str, number: int, path: Path) -> tuple[str, str]:
    if len(columns) == 1 and columns[0] == OUTSIDE and line[0] in " \t":
        return " ", OUTSIDE  # the token is a space
    if len(columns) < 2:
        raise UnreadableData(
            f"{path}, line {number}: {columns[0][:40]!r} stands alone; write the token first and its tag last, parted by "
            "white space"
        )
    token, tag = columns[0].strip(" "), columns[-1].strip()
    if not is_tag(tag):
        raise UnreadableData(f"{path}, line {number}: {NO_TAG.format(tag[:40])}")
    return token or " ", tag
