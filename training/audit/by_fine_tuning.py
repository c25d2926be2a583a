"""Out-of-sample probabilities by the real thing: one fine-tuned model a fold, each a training run of its own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from training.atomic_files import replace_file
from training.audit.folds import Folds
from training.audit.settings import AuditSettings
from training.calibration import softmax
from training.data_settings import DataSettings
from training.dataset import Example
from training.encoding import encode
from training.fine_tuning import fine_tune
from training.fingerprint import combined, source_fingerprint
from training.heads import SequenceClassifier
from training.model_making import load_tokenizer, padding_of
from training.reuse import step_fingerprint
from training.run import RunDirectory, RunRecord
from training.settings import FineTuneSettings
from training.trainer import predict_logits


def probabilities_by_fine_tuning(
    folds: Folds, settings: AuditSettings, folder: Path, console: Console
) -> NDArray[np.float64]:
    """float64 [rows, labels]; each row by the model of the folds that it is not in, each summing to 1.

    `folder` keeps what each fold found: a killed audit resumes, a repeated one reuses what did not change.
    """
    probabilities = np.zeros((len(folds.examples), len(folds.labels)))
    for fold in range(settings.folds):
        held_out = np.flatnonzero(folds.fold == fold)
        if len(held_out):
            probabilities[held_out] = _judge_fold(folds, fold, held_out, settings, folder, console)
    return probabilities


def _judge_fold(
    folds: Folds, fold: int, held_out: NDArray[np.int64], settings: AuditSettings, folder: Path, console: Console
) -> NDArray[np.float64]:
    """float64 [held-out rows, labels]."""
    run = RunDirectory(folder / f"fold-{fold + 1}")
    data = folder / f"fold-{fold + 1}.jsonl"
    _write_rows(folds, fold, data)
    configured = _settings_of_fold(settings, data, folds.examples[0].text_pair is not None)
    # the code of the audit as well, which makes the probabilities that are kept
    fingerprint = combined(step_fingerprint(configured), source_fingerprint(Path(__file__).parent))
    kept = run.root / "probabilities.npy"
    record = run.record()
    console.print(f"[bold]fold {fold + 1} of {settings.folds}[/]")
    if record is not None and record.step_fingerprint == fingerprint and kept.is_file():
        console.print(f"[green]reused[/] {run.root}")
        stored: NDArray[np.float64] = np.load(kept, allow_pickle=False)
        return stored
    record = fine_tune(configured, run, fingerprint, console)
    found = _probabilities(run, record, [folds.examples[position] for position in held_out])
    replace_file(kept, lambda aside: _save(aside, found))
    shutil.rmtree(run.checkpoint)
    return found


def _settings_of_fold(settings: AuditSettings, data: Path, pair: bool) -> FineTuneSettings:
    """The rows are clean already, and their split is given; only the validation rows are still to be cut."""
    return FineTuneSettings(
        data=DataSettings(
            path=str(data),
            text="text",
            text_pair="text_pair" if pair else None,
            label="label",
            split="split",
            conflicts="keep",
            near_duplicate_threshold=1.0,
            min_rows_per_class=1,
            seed=settings.seed,
        ),
        name=settings.name,
        model=settings.model,
        max_length=settings.max_length,
        epochs=settings.epochs,
        seed=settings.seed,
    )


def _write_rows(folds: Folds, fold: int, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for example, judge in zip(folds.examples, folds.fold, strict=True):
            row = {"text": example.text, "label": example.label, "split": "test" if judge == fold else "train"}
            if example.text_pair is not None:
                row["text_pair"] = example.text_pair
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _probabilities(run: RunDirectory, record: RunRecord, examples: list[Example]) -> NDArray[np.float64]:
    """Calibrated probabilities float64 [rows, labels] of the run's best epoch."""
    tokenizer = load_tokenizer(str(run.checkpoint))
    encoded = encode(examples, tokenizer, [0] * len(examples), record.max_length)
    logits = predict_logits(SequenceClassifier.load(run.checkpoint), encoded, padding_of(tokenizer))
    return softmax(logits / np.float32(record.temperature))


def _save(path: Path, probabilities: NDArray[np.float64]) -> None:
    with path.open("wb") as file:
        np.save(file, probabilities, allow_pickle=False)
