"""Rows for sentence encoders, small enough for a tiny BERT: English words and the Chinese ones that stand for them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from tests.fakes.tiny_encoder import CHARACTERS, WORDS

MEANING = dict(zip(WORDS[:14], CHARACTERS[:14], strict=True))
FILLERS = ["the", "a", "of", "in", "and", "won", "fell", "new", "old", "good"]

Row = dict[str, object]


def pair_rows(count: int, seed: int = 0) -> list[Row]:
    """Questions of three English words, and answers that hold the Chinese character of each; none shares a word with its own."""
    random = np.random.default_rng(seed)
    sets = list(combinations(MEANING, 3))
    rows: list[Row] = []
    for number in random.permutation(len(sets))[:count].tolist():
        words = list(sets[number])
        characters = [MEANING[word] for word in words]
        random.shuffle(words)
        random.shuffle(characters)
        filler = random.choice(FILLERS, 2).tolist()
        rows.append({"question": " ".join([filler[0], *words]), "answer": " ".join([*characters, filler[1]])})
    return rows


def score_rows(count: int, seed: int = 0) -> list[Row]:
    """Two texts, and which share of the first one's words the second one says in Chinese."""
    random = np.random.default_rng(seed)
    rows: list[Row] = []
    for row in pair_rows(count, seed):
        words = str(row["question"]).split()[1:]
        shared = int(random.integers(0, 4))
        others = [word for word in MEANING if word not in words]
        said = [*words[:shared], *random.choice(others, 3 - shared, replace=False).tolist()]
        second = " ".join(MEANING[word] for word in said)
        rows.append({"sentence1": row["question"], "sentence2": second, "score": round(shared / 3, 2)})
    return rows


def write_json_lines(path: Path, rows: Sequence[Row]) -> Path:
    """One object a line."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path
