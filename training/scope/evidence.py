"""Where scores are cut, and what that finds. Scores are higher the farther out of scope a text lies."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from training.intervals import Interval, bootstrap

Scores = NDArray[np.float32]


def threshold_at(inside: Scores, acceptance: float) -> float:
    """A threshold that keeps at least that share of the scores: half way to the next, so that rounding moves no row across."""
    ordered = np.sort(inside).astype(np.float64)
    last = min(len(ordered), math.ceil(acceptance * len(ordered) - 1e-9)) - 1
    above = ordered[last + 1] if last + 1 < len(ordered) else ordered[last] + 1e-3
    return float((ordered[max(0, last)] + above) / 2)


def recall(outside: Scores, threshold: float) -> float:
    """Share of the texts out of scope that are found."""
    return float((outside > threshold).mean())


def auroc(inside: Scores, outside: Scores) -> float:
    """Probability that a text out of scope has a higher score than one in scope: area under the ROC curve."""
    out = np.concatenate([np.zeros(len(inside), np.int64), np.ones(len(outside), np.int64)])
    return float(roc_auc_score(out, np.concatenate([inside, outside])))


def figures(inside: Scores, right: NDArray[np.bool_], outside: Scores | None, threshold: float) -> dict[str, float]:
    """Those of `ScopeRecord.evidence`; `right` [rows]: the best label is that of the row."""
    kept = inside <= threshold
    found = {"in_scope_accuracy": float((kept & right).mean()), "in_scope_acceptance": float(kept.mean())}
    if outside is not None:
        found |= {"out_of_scope_recall": recall(outside, threshold), "auroc": auroc(inside, outside)}
    return found


def uncertainty(
    inside: Scores, right: NDArray[np.bool_], outside: Scores | None, threshold: float
) -> dict[str, Interval]:
    """95 % intervals of the same; rows in scope, and rows out of it, are each a sample."""
    kept = inside <= threshold
    measured = {"in_scope_accuracy": kept & right, "in_scope_acceptance": kept}
    intervals = _of_means(measured)
    if outside is not None:
        ordered = np.sort(inside)
        # of each text out of scope the share of rows in scope that it is farther out than; their mean is the area
        sides = [np.searchsorted(ordered, outside, side) for side in ("left", "right")]
        farther = (sides[0] + sides[1]) / 2 / len(inside)
        intervals |= _of_means({"out_of_scope_recall": outside > threshold, "auroc": farther})
    return intervals


def _of_means(columns: dict[str, NDArray[Any]]) -> dict[str, Interval]:
    rows = len(next(iter(columns.values())))
    return bootstrap(rows, lambda at: {name: float(values[at].mean()) for name, values in columns.items()})
