"""One object with entities: `tokens` with `tags`, or a `text` with `spans`; and what becomes of either."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeGuard

from training.data_settings import DataSettings
from training.dataset import Entity, Split
from training.failures import UnreadableData
from training.reading.columns import TEXT_NAMES, Columns
from training.reading.conll import NO_TAG, Sentence
from training.reading.json_lines import check_characters
from training.reading.places import named_split
from training.tagging.schemes import is_tag
from training.tagging.words import trimmed

TOKEN_NAMES = ("tokens", "words")
TAG_NAMES = ("tags", "ner_tags", "labels", "label")
SPAN_NAMES = ("spans", "entities", "labels", "label")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a row stood, which split it is, and what else it holds."""

    source: str
    row: int
    split: Split | None
    extra: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tagged:
    """Tokens and tags, whose meaning depends on the scheme of all of them."""

    sentence: Sentence
    origin: Origin


@dataclass(frozen=True, slots=True)
class Marked:
    """A text and its entities, in order."""

    text: str
    entities: list[Entity]
    origin: Origin


def find_annotation(row: dict[str, Any], settings: DataSettings, where: str) -> Columns:
    """Named by the settings, else by usual names. Tokens go with tags, a text with spans."""
    tokens = settings.text or next((name for name in TOKEN_NAMES if name in row), None)
    usual = TAG_NAMES
    if tokens is None or isinstance(row.get(tokens), str):
        tokens = tokens or next((name for name in TEXT_NAMES if name in row), None)
        usual = SPAN_NAMES
    label = settings.label or next((name for name in usual if name in row), usual[0])
    if tokens is None or tokens not in row:
        raise UnreadableData(
            f"{where}: no {settings.text or 'tokens or text'} among {', '.join(map(repr, row))}; write `tokens` and `tags`, or "
            "`text` and `spans`, or name them with --text and --label"
        )
    split = settings.split or ("split" if "split" in row else None)
    return Columns(tokens, label, None, split)


def annotated_row(row: dict[str, Any], columns: Columns, origin: Origin) -> Tagged | Marked:
    """A row's tokens and tags, or text and entities. Raises UnreadableData that says what is wrong, and where."""
    assert columns.label is not None
    where = f"{origin.source}, row {origin.row}"
    split = origin.split
    if columns.split is not None:
        split = named_split(str(row.get(columns.split) or ""), f"{where}, column {columns.split!r}")
    used = {columns.text, columns.label, columns.split}
    extra = {
        name: check_characters(str(value), f"{where}, column {name!r}")
        for name, value in row.items()
        if name not in used and isinstance(value, str | int | float)
    }
    origin = Origin(origin.source, origin.row, split, extra)
    content, labels = row[columns.text], row[columns.label]
    if isinstance(content, str):
        check_characters(content, f"{where}, column {columns.text!r}")
        return Marked(content, _spans(labels, content, f"{where}, column {columns.label!r}"), origin)
    return Tagged(_sentence(content, labels, columns, where, origin.row), origin)


def _sentence(tokens: object, tags: object, columns: Columns, where: str, row: int) -> Sentence:
    for name, words in ((columns.text, tokens), (columns.label, tags)):
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise UnreadableData(f"{where}, column {name!r}: expected a list of words")
    assert isinstance(tokens, list) and isinstance(tags, list)
    if len(tokens) != len(tags) or not tokens:
        raise UnreadableData(f"{where}: {len(tokens)} tokens and {len(tags)} tags; each token needs one")
    tags = [tag.strip() for tag in tags]
    for position, (token, tag) in enumerate(zip(tokens, tags, strict=True), start=1):
        check_characters(token, f"{where}, token {position}")
        check_characters(tag, f"{where}, tag {position}")
        if not is_tag(tag):
            raise UnreadableData(f"{where}, tag {position}: {NO_TAG.format(tag[:40])}")
    return Sentence([token.strip() or " " for token in tokens], tags, [row] * len(tokens))


def _spans(spans: object, text: str, where: str) -> list[Entity]:
    """Entities of a text, in order, without white space at their edges. Raises UnreadableData for those that cannot be."""
    if not isinstance(spans, list):
        raise UnreadableData(f"{where}: expected a list of objects with start, end and label")
    found = sorted(_entity(span, text, f"{where}, entity {number}") for number, span in enumerate(spans, start=1))
    for one, other in pairwise(found):
        if other.start < one.end:
            raise UnreadableData(
                f"{where}: {one.label} {one.start}-{one.end} and {other.label} {other.start}-{other.end} overlap; a character "
                "can be in one entity only"
            )
    return found


def _entity(span: object, text: str, where: str) -> Entity:
    begin, finish, label = (
        (span.get(key) for key in ("start", "end", "label")) if isinstance(span, dict) else (None,) * 3
    )
    if not (_whole(begin) and _whole(finish) and isinstance(label, str)):
        raise UnreadableData(
            f"{where}: expected an object with the whole numbers start and end, and a label, which is text"
        )
    label = check_characters(" ".join(label.split()), f"{where}, label")
    if not 0 <= begin < finish <= len(text):
        raise UnreadableData(
            f"{where}: start {begin} and end {finish} are no stretch of a text of {len(text)} characters; start counts from 0, "
            "end is the character behind the last"
        )
    start, end = trimmed(text, begin, finish)
    if start == end or not label:
        raise UnreadableData(f"{where}: {'the label is empty' if not label else 'nothing but white space is marked'}")
    return Entity(start, end, label)


def _whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
