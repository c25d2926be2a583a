"""What an audit found: the rows with their verdicts, worst first, and the picture over the classes."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.audit.confidence import Confidence
from training.audit.folds import Folds
from training.audit.settings import AuditSettings
from training.dataset import Example
from training.duplicates import identity
from training.preparation import DistinctRows


@dataclass(frozen=True, slots=True)
class Verdict:
    """One row, and what a model that never saw it says of its label. Numbers are in 0..1."""

    example: Example
    suggested: str
    """The most probable label; of an issue it differs from the given one."""
    quality: float
    given_probability: float
    suggested_probability: float
    issue: bool


@dataclass(frozen=True, slots=True)
class ClassFindings:
    """One label: its rows, its issues, and the label that is most often suggested in its place."""

    label: str
    rows: int
    issues: int
    confused_with: str | None
    confusions: int
    """Issues for which `confused_with` is suggested."""


@dataclass(frozen=True, slots=True)
class Findings:
    """All of it. `verdicts` holds every judged row, the lowest quality first."""

    settings: AuditSettings
    verdicts: list[Verdict]
    classes: list[ClassFindings]
    """Those with the largest share of issues first."""
    noise_rate: float
    agreement: float
    """Share of rows whose label is the most probable one, 0..1: how well the models know the task."""
    rows_read: int
    conflicts: int
    """Texts that occur with several labels, which cleaning settled or left out before the audit."""
    left_out: dict[str, int]
    """Labels that could not be judged, with their rows."""

    @property
    def issues(self) -> list[Verdict]:
        """The rows whose label is most likely wrong, the lowest quality first."""
        return [verdict for verdict in self.verdicts if verdict.issue]


def row_id(example: Example) -> str:
    """Names a row by its text and label, so that it is found again when lines moved: `r` and 16 hexadecimal digits."""
    key = f"{identity(example)}\0{example.label}"
    return "r" + hashlib.blake2b(key.encode(), digest_size=8).hexdigest()


def describe(
    settings: AuditSettings,
    rows: DistinctRows,
    folds: Folds,
    probabilities: NDArray[np.float64],
    confidence: Confidence,
) -> Findings:
    """Puts the findings together. `probabilities` float64 [rows, labels] are those that `confidence` was made of."""
    best = probabilities.argmax(axis=1)
    verdicts = [
        Verdict(
            example=folds.examples[row],
            suggested=folds.labels[best[row]],
            quality=float(confidence.quality[row]),
            given_probability=float(probabilities[row, folds.truth[row]]),
            suggested_probability=float(probabilities[row, best[row]]),
            issue=bool(confidence.issue[row]),
        )
        for row in np.argsort(confidence.quality, kind="stable")
    ]
    return Findings(
        settings=settings,
        verdicts=verdicts,
        classes=_classes(verdicts),
        noise_rate=confidence.noise_rate,
        agreement=float((best == folds.truth).mean()),
        rows_read=len(rows.reading.examples) + rows.reading.unlabelled,
        conflicts=len(rows.duplicates.conflicts),
        left_out=folds.left_out,
    )


def _classes(verdicts: list[Verdict]) -> list[ClassFindings]:
    rows = Counter(verdict.example.label for verdict in verdicts)
    confusions: dict[str, Counter[str]] = {label: Counter() for label in rows}
    for verdict in verdicts:
        if verdict.issue:
            confusions[verdict.example.label][verdict.suggested] += 1
    found = []
    for label, count in rows.items():
        other, times = next(iter(confusions[label].most_common(1)), (None, 0))
        found.append(ClassFindings(label, count, confusions[label].total(), other, times))
    return sorted(found, key=lambda each: (-each.issues / each.rows, each.label))
