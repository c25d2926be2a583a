"""The texts that a benchmark sends, in random order without repeats."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path


class NoTexts(Exception):
    """The file holds nothing to send."""


def read_texts(path: Path) -> list[str]:
    """The distinct, non-blank texts of a CSV file or JSON lines with a `text` column, in order of the file."""
    if not path.is_file():
        raise NoTexts(f"{path}: there is no such file; give a CSV or JSON-lines file with a column named text (--texts)")
    with path.open(encoding="utf-8", newline="") as file:
        rows = (json.loads(line) for line in file) if path.suffix == ".jsonl" else csv.DictReader(file)
        texts = dict.fromkeys(str(row.get("text") or "") for row in rows)
    found = [text for text in texts if text.strip()]
    if not found:
        raise NoTexts(f"{path}: no text in a column named text")
    return found


class Deck:
    """Deals the numbers of items in random order. Each deal starts a new shuffle and repeats none until all were dealt."""

    def __init__(self, size: int, seed: int = 20_240_601) -> None:
        self._size = size
        self._random = random.Random(seed)

    def deal(self) -> Iterator[int]:
        """An endless stream of item numbers."""
        order = list(range(self._size))
        while True:
            self._random.shuffle(order)
            yield from order

    def hand(self, count: int) -> list[int]:
        """The first `count` numbers of a fresh deal."""
        stream = self.deal()
        return [next(stream) for _ in range(count)]


def pick(texts: Sequence[str], numbers: Sequence[int]) -> list[str]:
    """The texts with these numbers."""
    return [texts[number] for number in numbers]
