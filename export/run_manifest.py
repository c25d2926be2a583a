"""What a bundle's manifest says of the run that it was made from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from export.manifest import Calibration, Manifest, OutOfScope, PredictionSets, Scale
from export.variants import Candidate
from training.conformal import LEVELS
from training.run import RunRecord


def run_manifest(
    record: RunRecord,
    passed: Sequence[Candidate],
    compared_rows: int,
    pad: int,
    fingerprint: str,
    common: dict[str, Any],
) -> Manifest:
    """With what every manifest says in `common`; `compared_rows` are the validation rows that thresholds were chosen on."""
    scope = record.out_of_scope
    evidence = {} if scope is None else scope.evidence
    return Manifest(
        **common,
        name=record.name,
        task=record.task,
        labels=record.labels,
        thresholds=record.thresholds,
        out_of_scope=_out_of_scope(record),
        prediction_sets=_prediction_sets(record, compared_rows),
        scale=None if record.scale is None else Scale(**record.scale.model_dump()),
        pair=record.pair,
        max_length=record.max_length,
        pad_token_id=pad,
        calibration=_calibration(record),
        metrics={
            "checkpoint": {**record.metrics["test"], **evidence},
            **{each.variant.name: each.metrics for each in passed},
        },
        encoder=record.encoder,
        data_fingerprint=record.data_fingerprint,
        export_fingerprint=fingerprint,
    )


def has_prediction_sets(record: RunRecord) -> bool:
    """Whether its labels exclude one another, so that a set can hold the right one."""
    return record.task == "single_label_classification"


def _prediction_sets(record: RunRecord, compared_rows: int) -> PredictionSets | None:
    return PredictionSets(levels=list(LEVELS), rows=compared_rows) if has_prediction_sets(record) else None


def _out_of_scope(record: RunRecord) -> OutOfScope | None:
    scope = record.out_of_scope
    if scope is None:
        return None
    return OutOfScope(**scope.model_dump(include={"detector", "acceptance", "exposure", "rows", "intervals"}))


def _calibration(record: RunRecord) -> Calibration | None:
    scores = record.metrics["test"]
    if "calibration_error" not in scores:
        return None
    return Calibration(
        temperature=record.temperature,
        error_before=scores["calibration_error_before"],
        error_after=scores["calibration_error"],
    )
