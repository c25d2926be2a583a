"""Texts with entities, from files in columns, or as objects with `tokens` and `tags`, or with `text` and `spans`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.data_settings import DataSettings
from training.dataset import Entity, Example, Split
from training.failures import UnreadableData
from training.reading.annotated_rows import Marked, Origin, Tagged, annotated_row, find_annotation
from training.reading.columnar import typed_rows
from training.reading.columns import Columns
from training.reading.conll import read_conll
from training.reading.encodings import decode
from training.reading.json_lines import objects
from training.reading.places import files_of
from training.reading.source import Reading
from training.tagging.annotation import annotated
from training.tagging.joining import joined
from training.tagging.schemes import chunks, faults, scheme_of
from training.tagging.words import trimmed

COLUMNED = (".conll", ".bio")
SUFFIXES = (*COLUMNED, ".jsonl", ".ndjson", ".parquet")
SHOWN = 3


@dataclass(slots=True)
class _Found:
    """What the files hold. `columns` are those of the first file."""

    rows: list[Tagged | Marked] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    encodings: dict[str, str] = field(default_factory=dict)
    columns: Columns | None = None
    unlabelled: int = 0


def read_annotated(settings: DataSettings) -> Reading:
    """Reads every text and entity that `settings` names. Raises UnreadableData.

    Tags of every scheme become entities; those that go on with nothing begin one, as conlleval and Tag read them.
    """
    files = files_of(settings, SUFFIXES)
    if files is None:
        raise UnreadableData(
            f"{settings.path} does not exist: texts with entities are read from a {', '.join(SUFFIXES)} file, or a folder of them"
        )
    found = _Found()
    for split, path in files:
        _read_file(path, split, settings, found)
    notes = _tag_notes([row for row in found.rows if isinstance(row, Tagged)], settings.path)
    examples = [_example(row) for row in found.rows]
    counts = Counter(entity.label for example in examples for entity in example.entities or ())
    if not counts:
        raise UnreadableData(f"{settings.path}: there are no entities in any row")
    listed = ", ".join(f"{label} {count:,}" for label, count in counts.most_common())
    notes.insert(0, f"{counts.total():,} entities: {listed}")
    assert found.columns is not None
    return Reading(examples, found.columns, found.sources, found.encodings, found.unlabelled, notes)


def _read_file(path: Path, split: Split | None, settings: DataSettings, found: _Found) -> None:
    if path.suffix not in SUFFIXES:
        raise UnreadableData(
            f"{path}: texts with entities are read from {', '.join(SUFFIXES)}, not from {path.suffix!r} files"
        )
    source = str(path)
    found.sources.append(source)
    if path.suffix in COLUMNED:
        sentences, found.encodings[source] = read_conll(path, settings.encoding)
        found.columns = found.columns or Columns("first column", "last column", None, None)
        found.rows += [Tagged(each, Origin(source, each.lines[0], split)) for each in sentences]
        return
    rows: Iterable[tuple[int, dict[str, Any]]]
    if path.suffix == ".parquet":
        rows = enumerate(typed_rows(path)[1], start=1)
    else:
        text, found.encodings[source] = decode(path, settings.encoding)
        rows = objects(text, path)
    before = len(found.rows)
    for number, row in rows:
        columns = find_annotation(row, settings, f"{source}, row {number}")
        found.columns = found.columns or columns
        if columns.label is None or row.get(columns.label) is None:
            found.unlabelled += 1
            continue
        found.rows.append(annotated_row(row, columns, Origin(source, number, split)))
    if len(found.rows) == before:
        raise UnreadableData(
            f"{path} has no rows with entities: write one object a line with `tokens` and `tags`, or `text` and `spans`"
        )


def _tag_notes(rows: Sequence[Tagged], path: str) -> list[str]:
    """What was read otherwise than it stands. Raises UnreadableData for tags of no scheme."""
    try:
        scheme = scheme_of(row.sentence.tags for row in rows)
    except ValueError as error:
        raise UnreadableData(f"{path}: {error}") from None
    notes = [] if scheme == "BIO" else [f"the tags are {scheme}, and were converted to BIO"]
    places = [
        f"{row.origin.source}, line {row.sentence.lines[position]}"
        for row in rows
        for position in faults(row.sentence.tags, scheme)
    ]
    if places:
        shown = "; ".join(places[:SHOWN]) + ("; ..." if len(places) > SHOWN else "")
        what = "go on with no entity of their type" if scheme == "BIO" else f"break the rules of {scheme}"
        notes.append(f"{len(places):,} tags {what}; they were read as conlleval does, as beginnings or ends ({shown})")
    return notes


def _example(row: Tagged | Marked) -> Example:
    if isinstance(row, Marked):
        text, entities = row.text, row.entities
    else:
        text, places = joined(row.sentence.tokens)
        entities = list(_whole(text, places, row.sentence.tags))
    origin = row.origin
    example = Example(text, "", split=origin.split, source=origin.source, row=origin.row, extra=origin.extra)
    return annotated(example, entities)


def _whole(text: str, places: Sequence[tuple[int, int]], tags: Sequence[str]) -> Iterator[Entity]:
    """Entities of the tags, as stretches of the joined text; tokens of white space can be none."""
    for begin, end, kind in chunks(tags):
        start, finish = trimmed(text, places[begin][0], places[end - 1][1])
        if start < finish:
            yield Entity(start, finish, kind)
