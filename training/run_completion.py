"""The end of a run: checkpoint and record, and what only a resume would have needed is removed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from training.data_parallel import ALONE, Ranks
from training.dataset import Dataset
from training.encoders import Pooling
from training.model_making import Tokenization
from training.packages import library_versions
from training.run import AugmentationRecord, DistillationRecord, Effort, RunDirectory, RunRecord
from training.scope.record import ScopeRecord
from training.settings import FineTuneSettings
from training.tasks import Judgement


@dataclass(frozen=True, slots=True)
class Facts:
    """What a record says beside the settings, the data and the scores."""

    max_length: int
    pooling: Pooling | None
    pair: bool
    step_fingerprint: str
    seconds: float
    distillation: DistillationRecord | None = None
    out_of_scope: ScopeRecord | None = None
    augmentation: AugmentationRecord | None = None


def complete(
    run: RunDirectory,
    settings: FineTuneSettings,
    dataset: Dataset,
    judgement: Judgement,
    effort: Effort,
    config: dict[str, object],
    facts: Facts,
    ranks: Ranks = ALONE,
) -> RunRecord:
    """Writes the record, which marks the run complete, and removes what only a resume would need."""
    record = RunRecord(
        name=settings.name,
        task=settings.task,
        labels=dataset.labels,
        max_length=facts.max_length,
        pair=facts.pair,
        encoder=settings.model,
        pooling=facts.pooling,
        temperature=judgement.temperature,
        thresholds=judgement.thresholds,
        out_of_scope=facts.out_of_scope,
        scale=dataset.scale,
        metrics=judgement.metrics,
        intervals=judgement.intervals,
        data_fingerprint=dataset.fingerprint,
        step_fingerprint=facts.step_fingerprint,
        config={**settings.model_dump(), **config},
        effort=effort,
        distillation=facts.distillation,
        augmentation=facts.augmentation,
        versions=library_versions(),
        seconds=facts.seconds,
        create_time=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    run.write_record(record)
    ranks.wait()
    if ranks.first:
        _discard_training_state(run)
    return record


def save_checkpoint(save: Callable[[Path], None], tokenization: Tokenization, run: RunDirectory) -> None:
    """What `save` writes into a folder, and the tokenizer, as the run's checkpoint."""
    aside = run.root / "checkpoint.partial"
    shutil.rmtree(aside, ignore_errors=True)
    save(aside)
    shutil.copytree(tokenization.folder, aside, dirs_exist_ok=True)
    shutil.rmtree(run.checkpoint, ignore_errors=True)
    aside.replace(run.checkpoint)


def _discard_training_state(run: RunDirectory) -> None:
    """Optimizer states are large and a complete run needs them no more; TensorBoard's events stay."""
    for path in (*run.trainer.glob("**/checkpoint-*"), *run.trainer.glob("teacher-*"), run.trainer / "copies"):
        shutil.rmtree(path, ignore_errors=True)
    for path in (*run.trainer.glob("*.safetensors"), run.trainer / "copies.json", run.trainer / "negatives.json"):
        path.unlink(missing_ok=True)
    shutil.rmtree(run.root / "tokenizer", ignore_errors=True)
