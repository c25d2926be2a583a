"""Picks a few texts of a run's test split to show: different labels, every script there is, short enough to read."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

READABLE = range(12, 140)


class NoSamples(Exception):
    """The run has no test rows to show; the message says what to do."""


Span = tuple[int, int, str]
"""Characters [start, end) of a text, and the type of the entity that they are."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A held-out row."""

    text: str
    text_pair: str | None
    label: str
    labels: frozenset[str]
    """The one label, or where texts can have several all of them; `label` then is all of them as one word."""
    value: float | None = None
    """The number, where texts have numbers; `label` then is the same as text."""
    entities: frozenset[Span] | None = None
    """Where entities are to be found; `labels` are their types."""

    @property
    def script(self) -> str:
        """The script of the first letter: LATIN, CJK, HANGUL, ..."""
        letter = next((each for each in self.text if each.isalpha()), "")
        return unicodedata.name(letter, "").partition(" ")[0] if letter else ""


Made = TypeVar("Made")


def held_out(file: Path, fields: str, make: Callable[[dict[str, Any]], Made]) -> list[Made]:
    """What `make` makes of each row of a test.jsonl. Raises NoSamples; `fields` are what a row must have."""
    try:
        # lines of the file, not of its text, where a line may also end at a separator inside a JSON string
        with file.open(encoding="utf-8") as lines:
            return [make(json.loads(line)) for line in lines if line.strip()]
    except FileNotFoundError:
        raise NoSamples(f"{file} is missing: train first, with `make run` or `python -m training fit`") from None
    except (KeyError, TypeError, ValueError) as error:
        raise NoSamples(f"{file}: not one {{{fields}}} a line ({error}); train again") from None


def pick(file: Path, count: int) -> list[Sample]:
    """Up to `count` rows of a test.jsonl, going round the scripts and, within each, round the labels.

    Raises NoSamples.
    """
    samples = held_out(file, '"text", "label"', _sample)
    if not samples:
        raise NoSamples(f"{file} is empty: train again with more rows")
    # sorting is stable: readable ones first, otherwise as in the file
    samples.sort(key=lambda sample: len(sample.text) not in READABLE)
    scripts: dict[str, dict[str, list[Sample]]] = {}
    for sample in samples:
        scripts.setdefault(sample.script, {}).setdefault(sample.label, []).append(sample)
    return in_turns([in_turns(_shifted(labels, turn)) for turn, labels in enumerate(scripts.values())])[:count]


def _sample(row: dict[str, Any]) -> Sample:
    text, label = row["text"], row["label"]
    labels = frozenset(row.get("labels", [label]))
    if "entities" not in row:
        return Sample(text, row.get("text_pair"), label, labels, row.get("value"))
    entities = frozenset((each["start"], each["end"], each["label"]) for each in row["entities"])
    # those with the same types of entities go together, as those with the same label do
    return Sample(text, None, ", ".join(sorted(labels)), labels, entities=entities)


def _shifted(labels: dict[str, list[Sample]], turn: int) -> list[list[Sample]]:
    """The lists of the labels, each script beginning with another one, so that neighbours differ in label."""
    ordered = [labels[name] for name in sorted(labels)]
    start = turn * ((len(ordered) + 1) // 2) % len(ordered)
    return ordered[start:] + ordered[:start]


def in_turns(lists: list[list[Sample]]) -> list[Sample]:
    """The first of each list, then the second of each, and so on."""
    longest = max(map(len, lists), default=0)
    return [each[turn] for turn in range(longest) for each in lists if turn < len(each)]
