"""The texts that a benchmark sends, in random order without repeats."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterator
from pathlib import Path

Text = str | tuple[str, str]
"""One text, or a pair of texts."""


class NoTexts(Exception):
    """The file holds nothing to send."""


def read_texts(path: Path) -> list[Text]:
    """The distinct, non-blank texts (or pairs) of a CSV or JSON-lines file with columns `text` and maybe `text_pair`."""
    if not path.is_file():
        raise NoTexts(f"{path}: no such file; give a CSV or JSON-lines file with a column named text (--texts)")
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = (json.loads(line) for line in file) if path.suffix == ".jsonl" else csv.DictReader(file)
        pairs = dict.fromkeys((str(row.get("text") or ""), row.get("text_pair")) for row in rows)
    texts: list[Text] = [(text, pair) if pair else text for text, pair in pairs if text.strip()]
    if not texts:
        raise NoTexts(f"{path}: nothing in a column named text; is the header row missing?")
    return texts


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


def grouped(count: int, size: int, seed: int = 20_240_601) -> list[list[int]]:
    """The numbers 0 to `count` - 1 in random groups of exactly `size`; up to `size` - 1 of them are left over.

    NoTexts when there are fewer than `size`.
    """
    if count < size:
        raise NoTexts(f"{count} distinct texts are too few for calls of {size}: give a longer file (--texts)")
    order = list(range(count))
    random.Random(seed).shuffle(order)
    return [order[start : start + size] for start in range(0, count - size + 1, size)]
