"""Folds: every row is judged by a model that saw neither it nor a text that looks like it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.audit.settings import AuditSettings
from training.dataset import Example
from training.failures import UnusableData
from training.splitting import strata

MIN_CLASSES = 2


@dataclass(frozen=True, slots=True)
class Folds:
    """The rows that can be judged, and who judges them."""

    examples: list[Example]
    labels: list[str]
    """Sorted; its order is the order of all probabilities."""
    truth: NDArray[np.int64]
    """[rows], positions in `labels` of the given labels."""
    fold: NDArray[np.int64]
    """[rows], 0..folds-1: the row is judged by the model trained on all other folds."""
    left_out: dict[str, int]
    """Labels that cannot be judged, with their rows: all of these look alike, so that one fold holds them."""


def make_folds(examples: list[Example], groups: list[int], settings: AuditSettings) -> Folds:
    """Stratified folds that keep look-alike groups whole. `groups[i]` is the group of `examples[i]`.

    A function of the texts and the seed, not of the order of the rows. Raises UnusableData when nothing can be judged.
    """
    path = settings.data.path
    every = {example.label for example in examples}
    if len(every) < MIN_CLASSES:
        raise UnusableData(
            f"{path}: every row has the label {next(iter(every))!r}; a label audit needs two labels or more"
        )
    if (apart := len(set(groups))) < settings.folds:
        raise UnusableData(
            f"{path}: {len(examples)} distinct rows in {apart} groups of look-alikes are too few for {settings.folds} "
            "folds; add rows, or give a smaller --folds"
        )
    fold = _deal(examples, groups, settings)
    spread: dict[str, set[int]] = defaultdict(set)
    for example, number in zip(examples, fold, strict=True):
        spread[example.label].add(int(number))
    labels = sorted(label for label, folds in spread.items() if len(folds) > 1)
    if len(labels) < MIN_CLASSES:
        raise UnusableData(
            f"{path}: fewer than two labels have rows that do not all look alike; add rows that differ, or raise the "
            "similarity from which texts are look-alikes"
        )
    index = {label: position for position, label in enumerate(labels)}
    kept = [position for position, example in enumerate(examples) if example.label in index]
    left_out: dict[str, int] = defaultdict(int)
    for example in examples:
        if example.label not in index:
            left_out[example.label] += 1
    judged = [examples[position] for position in kept]
    truth = np.array([index[example.label] for example in judged], np.int64)
    return Folds(judged, labels, truth, fold[kept], dict(left_out))


def _deal(examples: list[Example], groups: list[int], settings: AuditSettings) -> NDArray[np.int64]:
    """Deals the groups of each label, largest first, to the fold with the fewest rows of the label."""
    fold = np.empty(len(examples), np.int64)
    sizes = [0] * settings.folds
    for stratum in strata(examples, groups, settings.seed).values():
        filled = [0] * settings.folds
        for rows in sorted(stratum, key=len, reverse=True):
            fewest = min(range(settings.folds), key=lambda each: (filled[each], sizes[each]))
            fold[rows] = fewest
            filled[fewest] += len(rows)
            sizes[fewest] += len(rows)
    return fold
