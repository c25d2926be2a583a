"""The step after training: fit the detector, set its threshold on validation rows, measure it on the test rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.dataset import Split
from training.encoding import EncodedDataset
from training.heads import SequenceClassifier
from training.scope.detector import ScopeDetector
from training.scope.evidence import figures, threshold_at, uncertainty
from training.scope.fitting import MAHALANOBIS, OUTLIERS, Material, Seen, fitted, possible, scores
from training.scope.model import seen
from training.scope.record import ScopeRecord
from training.scope.settings import ScopeSettings


@dataclass(frozen=True, slots=True)
class Rows:
    """Token ids of the three splits; their targets are indices of labels, of texts out of scope anything."""

    train: EncodedDataset
    validation: EncodedDataset
    test: EncodedDataset


def judge_scope(
    model: SequenceClassifier,
    inside: Rows,
    held_out: Mapping[Split, Seen],
    outside: Rows | None,
    settings: ScopeSettings,
    pad_token_id: int,
) -> tuple[ScopeDetector, ScopeRecord]:
    """The fitted detector, and what is known of it. `held_out`: what the model makes of validation and test rows in scope."""

    def looked_at(rows: EncodedDataset) -> Seen:
        return seen(model, rows, pad_token_id)

    validation, test = held_out[Split.VALIDATION], held_out[Split.TEST]
    candidates = possible(settings, outside is not None, outside is not None and len(outside.train) > 0)
    needed = {part for parts in candidates.values() for part in parts}
    material = Material(
        looked_at(inside.train) if needed & {MAHALANOBIS, OUTLIERS} else None,
        _truth(inside.train),
        validation,
        looked_at(outside.train) if outside is not None and OUTLIERS in needed else None,
        looked_at(outside.validation) if outside is not None and len(candidates) > 1 else None,
    )
    detector = fitted(material, settings)
    threshold = threshold_at(scores(detector, validation), settings.acceptance)
    measured = (
        scores(detector, test),
        test.logits.argmax(axis=1) == _truth(inside.test),
        scores(detector, looked_at(outside.test)) if outside is not None else None,
        threshold,
    )
    record = ScopeRecord(
        detector=detector.name,
        acceptance=settings.acceptance,
        threshold=threshold,
        exposure=settings.exposure,
        rows={}
        if outside is None
        else {"train": len(outside.train), "validation": len(outside.validation), "test": len(outside.test)},
        evidence=figures(*measured),
        intervals=uncertainty(*measured),
    )
    return detector, record


def _truth(rows: EncodedDataset) -> NDArray[np.int64]:
    return np.array([row.target for row in rows.rows], np.int64)
