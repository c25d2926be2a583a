"""Picks a few texts of a run's test split to show: different labels, short enough to read, in every script there is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

READABLE = range(12, 140)


@dataclass(frozen=True, slots=True)
class Sample:
    """A held-out row."""

    text: str
    text_pair: str | None
    label: str


def pick(file: Path, count: int) -> list[Sample]:
    """Up to `count` rows of a test.jsonl, going round the labels and scripts."""
    groups: dict[tuple[bool, str], list[Sample]] = {}
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            sample = Sample(row["text"], row.get("text_pair"), row["label"])
            groups.setdefault((sample.text.isascii(), sample.label), []).append(sample)
    for samples in groups.values():
        samples.sort(key=lambda each: len(each.text) not in READABLE)
    ascii_first = sorted(groups, key=lambda key: (key[1], not key[0]))
    both = _alternate([key for key in ascii_first if key[0]], [key for key in ascii_first if not key[0]])
    rounds = max((len(samples) for samples in groups.values()), default=0)
    ordered = [groups[key][turn] for turn in range(rounds) for key in both if turn < len(groups[key])]
    return ordered[:count]


def _alternate(one: list[tuple[bool, str]], other: list[tuple[bool, str]]) -> list[tuple[bool, str]]:
    """One of each in turn, the second list shifted so that neighbours differ in label."""
    shifted = other[len(other) // 2 :] + other[: len(other) // 2]
    longer = max(len(one), len(shifted))
    return [key for position in range(longer) for key in (*one[position:][:1], *shifted[position:][:1])]
