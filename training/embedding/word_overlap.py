"""What finds texts without any training: words that they share, weighed as by BM25 (Robertson and Zaragoza 2009).

A model that does not beat it is not worth serving. Chinese, which has no spaces, counts by characters and pairs of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer

from training.duplicates import folded
from training.embedding.retrieval import Collection, Ranked
from training.han import HAN, is_han

SATURATION, LENGTH = 1.2, 0.75
"""k1 and b of BM25, at their usual values."""
WORD = re.compile(rf"[{HAN}]+|[^\W{HAN}]+")


def words(text: str) -> list[str]:
    """Words in lower case; of Chinese each character and each two that stand together."""
    found: list[str] = []
    for word in WORD.findall(folded(text)):
        found += [*word, *(word[i : i + 2] for i in range(len(word) - 1))] if is_han(word[0]) else [word]
    return found


def by_words(first: Sequence[str], second: Sequence[str], collection: Collection) -> Ranked:
    """Candidates of each query, those that share the most words first; texts of all rows."""
    counter = CountVectorizer(analyzer=words)
    counts = counter.fit_transform([second[row] for row in collection.candidates]).astype(np.float32).tocsr()
    lengths = np.asarray(counts.sum(axis=1)).ravel()
    having = np.asarray((counts > 0).sum(axis=0)).ravel()
    rarity = np.log1p((counts.shape[0] - having + 0.5) / (having + 0.5))
    norm = SATURATION * (1 - LENGTH + LENGTH * lengths / max(1.0, float(lengths.mean())))
    weights = counts.tocoo()
    weights.data *= (SATURATION + 1) * rarity[weights.col] / (weights.data + norm[weights.row])
    candidates = weights.tocsr()
    queries = (counter.transform([first[row] for row in collection.queries]) > 0).astype(np.float32)

    def scores(some: slice) -> NDArray[np.float32]:
        return np.asarray((queries[some] @ candidates.T).todense(), np.float32)

    return collection.ranked(scores)
