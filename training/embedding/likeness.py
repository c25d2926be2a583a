"""How well nearness agrees with numbers that people gave, or with labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.correlation import correlation, rank_correlation
from training.embedding.retrieval import of_others, slices, units

Vectors = NDArray[np.float32]


def cosines(vectors: Vectors) -> NDArray[np.float64]:
    """Of the two texts of each row, [rows], of vectors [2 x rows, width]: all first texts, then all second ones."""
    known = units(vectors).astype(np.float64)
    rows = len(known) // 2
    result: NDArray[np.float64] = (known[:rows] * known[rows:]).sum(axis=1)
    return result


def correlations(found: NDArray[np.float64], given: NDArray[np.float32]) -> dict[str, float]:
    """Spearman's over ranks and Pearson's, in [-1, 1]; 0 where either side is the same for all rows."""
    if np.ptp(found) < 1e-9 or np.ptp(given) < 1e-9:
        return {"spearman": 0.0, "pearson": 0.0}
    wanted = given.astype(np.float64)
    return {"spearman": rank_correlation(found, wanted), "pearson": correlation(found, wanted)}


def label_measures(vectors: Vectors, labels: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """Of each text that has another of its label: average precision of all others by nearness, and whether the nearest has its
    label; each [texts], in [0, 1]. Empty where no label has two texts.
    """
    known = units(vectors)
    precisions: list[float] = []
    nearest: list[float] = []
    for some in slices(len(known)):
        # the text itself is the last of all
        order = np.argsort(-of_others(known, some), axis=1, kind="stable")[:, :-1]
        for hits in labels[order] == labels[some, None]:
            if hits.any():
                right = np.flatnonzero(hits) + 1
                precisions.append(float((np.arange(1, len(right) + 1) / right).mean()))
                nearest.append(float(hits[0]))
    return {"mean_average_precision": np.array(precisions), "neighbour_accuracy": np.array(nearest)}
