"""What an encoder says of each test row, for predictions.jsonl."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from training.dataset import Example
from training.embedding.likeness import cosines
from training.embedding.relations import relation_of
from training.embedding.retrieval import Collection, Ranked, of_others, ranked, units


def prediction_lines(examples: Sequence[Example], vectors: NDArray[np.float32]) -> Iterator[dict[str, object]]:
    """score: the cosine. label: the nearest other text and its label."""
    if relation_of(examples) == "label":
        yield from _neighbours(examples, vectors)
        return
    for example, cosine in zip(examples, cosines(vectors), strict=True):
        texts = {"text": example.text, "text_pair": example.text_pair}
        yield {**texts, "similarity": float(example.label), "cosine": round(float(cosine), 6)}


def retrieval_lines(examples: Sequence[Example], found: Ranked, collection: Collection) -> Iterator[dict[str, object]]:
    """pair: of each query the nearest second text, and where the first right one stands among the nearest."""
    for row, best, right in zip(collection.queries, found, collection.right, strict=True):
        hits = [position + 1 for position, candidate in enumerate(best.tolist()) if candidate in right]
        yield {
            "text": examples[row].text,
            "right": [examples[collection.candidates[candidate]].text_pair for candidate in sorted(right)],
            "nearest": examples[collection.candidates[int(best[0])]].text_pair,
            "rank": hits[0] if hits else None,
        }


def _neighbours(examples: Sequence[Example], vectors: NDArray[np.float32]) -> Iterator[dict[str, object]]:
    known = units(vectors)
    for example, (best,) in zip(examples, ranked(len(known), partial(of_others, known), 1), strict=True):
        nearest = examples[int(best)]
        yield {"text": example.text, "label": example.label, "nearest": nearest.text, "nearest_label": nearest.label}
