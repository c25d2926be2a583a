"""How good vectors are: the measures that fit what says which texts belong together, with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.dataset import Example
from training.embedding.likeness import correlations, cosines, label_measures
from training.embedding.relations import Relation, relation_of
from training.embedding.retrieval import Collection, Ranked, by_vectors, identities_of, measures
from training.intervals import Interval, Positions, bootstrap

Vectors = NDArray[np.float32]
Truth = NDArray[np.int64] | NDArray[np.float32]
"""pair: a number for each different text, int64 [rows, 2]. score: similarities, float32 [rows]. label: indices, int64 [rows]."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Measures of one split, and the 95 % intervals of those that are means over queries or rows."""

    scores: dict[str, float]
    intervals: dict[str, Interval]


def truth_of(examples: Sequence[Example], labels: Sequence[str]) -> Truth:
    """What is right of rows."""
    relation = relation_of(examples)
    if relation == "pair":
        return identities_of(examples)
    if relation == "score":
        return np.array([float(example.label) for example in examples], np.float32)
    index = {label: position for position, label in enumerate(labels)}
    return np.array([index[example.label] for example in examples], np.int64)


def relation_of_truth(truth: Truth) -> Relation:
    """Which relation it is the truth of."""
    if truth.ndim == 2:
        return "pair"
    return "score" if truth.dtype == np.float32 else "label"


def scores_of(vectors: Vectors, truth: Truth) -> dict[str, float]:
    """The measures of vectors, one for each text as `training.embedding.relations.singles` orders them."""
    if relation_of_truth(truth) == "score":
        return correlations(cosines(vectors), truth.astype(np.float32, copy=False))
    return _means(_measures(vectors, truth))


def evaluated(vectors: Vectors, truth: Truth) -> Scored:
    """The same with intervals."""
    if relation_of_truth(truth) != "score":
        return with_intervals(_measures(vectors, truth))
    rows, of = by_unit(vectors, truth)
    return Scored(of(np.arange(rows)), bootstrap(rows, of))


def by_unit(vectors: Vectors, truth: Truth) -> tuple[int, Callable[[Positions], dict[str, float]]]:
    """How many queries there are, or rows of similarities, and the measures of any choice of them."""
    if relation_of_truth(truth) == "score":
        near, given = cosines(vectors), truth.astype(np.float32, copy=False)
        return len(given), lambda at: correlations(near[at], given[at])
    each = _measures(vectors, truth)
    count = len(next(iter(each.values())))
    return count, lambda at: _means({name: values[at] for name, values in each.items()})


def retrieved(found: Ranked, collection: Collection) -> Scored:
    """Of candidates that were ranked otherwise than by vectors."""
    return with_intervals(measures(found, collection))


def with_intervals(each: dict[str, NDArray[np.float64]]) -> Scored:
    """Of measures of single queries, each [queries]."""
    count = len(next(iter(each.values())))
    if count == 0:
        return Scored(_means(each), {})
    return Scored(_means(each), bootstrap(count, lambda at: _means({name: v[at] for name, v in each.items()})))


def _measures(vectors: Vectors, truth: Truth) -> dict[str, NDArray[np.float64]]:
    whole = truth.astype(np.int64, copy=False)
    if relation_of_truth(truth) == "label":
        return label_measures(vectors, whole)
    collection = Collection.of(whole)
    return measures(by_vectors(vectors, collection), collection)


def _means(each: dict[str, NDArray[np.float64]]) -> dict[str, float]:
    return {name: float(values.mean()) if len(values) else 0.0 for name, values in each.items()}
