"""Queries with candidates that a tiny encoder can learn to rank in seconds: whoever asks wants to hear of the economy."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.fakes.tiny_encoder import TOPICS

FILLERS = ["the", "a", "of", "in", "won", "fell", "rose", "new", "old", "good", "bad"]


def write_questions(path: Path, queries: int = 120, candidates: int = 5, graded: bool = False) -> Path:
    """A csv of query, passage, relevance: one candidate of each is about the economy; graded, a second one is half so."""
    random = np.random.default_rng(0)
    others = [topic for topic in TOPICS if topic != "economy"]

    def text(*of: str) -> str:
        words = [str(random.choice(TOPICS[topic])) for topic in of] + random.choice(FILLERS, 3).tolist()
        random.shuffle(words)
        return f"{' '.join(words)} {random.integers(100_000)}"

    lines = ["query,passage,relevance"]
    for _ in range(queries):
        query = text(str(random.choice(list(TOPICS))))
        relevant = int(random.integers(candidates))
        for candidate in range(candidates):
            if candidate == relevant:
                lines.append(f"{query},{text('economy', 'economy')},{2 if graded else 1}")
            elif graded and candidate == (relevant + 1) % candidates:
                lines.append(f"{query},{text('economy', str(random.choice(others)))},1")
            else:
                other = str(random.choice(others))
                lines.append(f"{query},{text(other, other)},0")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
