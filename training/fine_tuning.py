"""The training step as a whole: from settings to a complete run directory."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch import nn
from transformers import PrinterCallback, set_seed
from transformers.trainer_utils import get_last_checkpoint

from training.data_parallel import Ranks
from training.data_settings import DataSettings
from training.data_summary import summarise, write_report
from training.dataset import Dataset, Split
from training.distillation.distiller import Distiller
from training.distillation.trainer import DistillingTrainer, Lesson
from training.encoders import EncoderSource, find_encoder
from training.encoding import EncodedDataset, chosen_max_length, collator, encode, token_counter
from training.failures import InvalidSettings
from training.heads import SequenceClassifier
from training.methods import apply_method, merge, trainable
from training.model_making import Tokenization, load_tokenizer, make_model, make_tokenizer, position_limit
from training.preparation import Prepared, prepare
from training.progress import Steps, listener
from training.query_batches import QueryBatches
from training.run import Effort, RunDirectory, RunRecord
from training.schedule import drawn_rows, epochs_and_rate
from training.settings import RANKING_LOSSES, FineTuneSettings, usual_loss
from training.tasks import Task, task_of
from training.trainer import (
    AfterEpoch,
    BestEpoch,
    CheckpointClock,
    ClassifierTrainer,
    ProgressListener,
    chosen_precision,
    go_on,
    predict_logits,
    training_arguments,
)

ALONE = Ranks()
LIBRARIES = ("torch", "transformers", "accelerate", "tokenizers", "datasets", "scikit-learn", "numpy")


@dataclass(frozen=True, slots=True)
class Encoded:
    """The three splits as token ids."""

    train: EncodedDataset
    validation: EncodedDataset
    test: EncodedDataset


def fine_tune(
    settings: FineTuneSettings, run: RunDirectory, step_fingerprint: str, console: Console, ranks: Ranks = ALONE
) -> RunRecord:
    """Trains, evaluates and calibrates; writes everything into `run`. Resumes when an earlier attempt was cut off."""
    begun = time.monotonic()
    distiller = None if settings.distillation is None else Distiller(settings, settings.distillation, run)
    settings = settings if distiller is None else distiller.settings
    if ranks.first:
        discard_other_attempt(run, step_fingerprint)
    ranks.wait()
    set_seed(settings.seed)
    source = find_encoder(settings.model) if distiller is None else distiller.source()
    prepared = _prepare(settings.data, source, run, console)
    dataset, task = prepared.dataset, task_of(settings.task)
    if distiller is not None:
        with ranks.first_before_others():  # they read what it wrote
            distiller.ask(prepared, console)
    tokenization = make_tokenizer(source, dataset, settings, run.root / "tokenizer")
    if tokenization.added:
        console.print(f"vocabulary extended by {tokenization.added:,} characters that {settings.model} does not know")
    set_seed(settings.seed)
    model = (
        make_model(source, tokenization, dataset.labels, settings)
        if distiller is None
        else distiller.student(tokenization, dataset.labels)
    )
    max_length = fitting_length(settings, dataset, tokenization, position_limit(model.config))
    encoded = Encoded(
        *(
            encode(rows, tokenization.tokenizer, task.truth(rows, dataset.labels), max_length)
            for rows in (dataset.train, dataset.validation, dataset.test)
        )
    )
    lesson = None
    if distiller is not None:
        encoded = replace(encoded, train=distiller.training_rows(encoded.train, tokenization, max_length))
        lesson = distiller.lesson()
    config, effort = train(
        settings, task, dataset, encoded, model, tokenization, run, console, ranks=ranks, lesson=lesson
    )
    logits = {
        Split.VALIDATION: predict_logits(model, encoded.validation, _pad(tokenization)),
        Split.TEST: predict_logits(model, encoded.test, _pad(tokenization)),
    }
    run.evaluation.mkdir(parents=True, exist_ok=True)
    judgement = task.judge(logits, dataset, run.evaluation)
    model.shift(judgement.shift)
    _save_checkpoint(model, tokenization, run)
    record = RunRecord(
        name=settings.name,
        task=settings.task,
        labels=dataset.labels,
        max_length=max_length,
        pair=prepared.pair,
        encoder=settings.model,
        pooling=model.settings.pooling,
        temperature=judgement.temperature,
        thresholds=judgement.thresholds,
        scale=dataset.scale,
        metrics=judgement.metrics,
        intervals=judgement.intervals,
        data_fingerprint=dataset.fingerprint,
        step_fingerprint=step_fingerprint,
        config={**settings.model_dump(), **config},
        effort=effort,
        distillation=None if distiller is None else distiller.record(dataset, judgement),
        versions={name: version(name) for name in LIBRARIES},
        seconds=time.monotonic() - begun,
        create_time=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    run.write_record(record)
    ranks.wait()
    if ranks.first:
        _discard_training_state(run)
    return record


def discard_other_attempt(run: RunDirectory, step_fingerprint: str) -> None:
    """Removes what an attempt with other data, settings or code left; keeps what this very attempt can resume from."""
    mark = run.trainer / "fingerprint"
    run.record_path.unlink(missing_ok=True)
    if not mark.is_file() or mark.read_text(encoding="utf-8") != step_fingerprint:
        shutil.rmtree(run.root, ignore_errors=True)
    run.trainer.mkdir(parents=True, exist_ok=True)
    mark.write_text(step_fingerprint, encoding="utf-8")


def _prepare(settings: DataSettings, source: EncoderSource, run: RunDirectory, console: Console) -> Prepared:
    with listener(console) as progress:
        prepared = prepare(settings, token_counter(load_tokenizer(source.location)), progress)
    write_report(prepared.report, run.data)
    summarise(prepared.report, console)
    dataset = prepared.dataset
    for split, rows in zip(Split, (dataset.train, dataset.validation, dataset.test), strict=True):
        run.write_split(split, rows)
    return prepared


def fitting_length(settings: FineTuneSettings, dataset: Dataset, tokenization: Tokenization, limit: int) -> int:
    """Tokens a text is cut to: as the settings say, or what the training rows need; never above the encoder's `limit`."""
    if settings.max_length is not None:
        return min(settings.max_length, limit)
    lengths = encode(dataset.train, tokenization.tokenizer, [0] * len(dataset.train), limit).lengths
    return chosen_max_length(lengths, limit)


def train(
    settings: FineTuneSettings,
    task: Task,
    dataset: Dataset,
    encoded: Encoded,
    model: SequenceClassifier,
    tokenization: Tokenization,
    run: RunDirectory,
    console: Console,
    after_epoch: AfterEpoch = go_on,
    ranks: Ranks = ALONE,
    lesson: Lesson | None = None,
) -> tuple[dict[str, object], Effort]:
    """Trains in place and leaves the best epoch's weights in `model`; returns the settings that the data decided, too.

    The test split is not looked at. `after_epoch` can stop the training early. With a `lesson` the training rows have teachers'
    answers, and those without a label follow the others.
    """
    epochs, rate = epochs_and_rate(settings, model.config.hidden_size, dataset)
    if settings.gradient_checkpointing:
        model.encoder.gradient_checkpointing_enable({"use_reentrant": False})
    budget = apply_method(model, settings)
    trained_weights = trainable(model)
    precision = chosen_precision(settings.mixed_precision)
    truth = task.truth(dataset.validation, dataset.labels)

    def score(module: nn.Module) -> float:
        training = module.training
        logits = predict_logits(module, encoded.validation, _pad(tokenization))
        module.train(training)
        return task.score(logits, truth)

    best = BestEpoch(run.trainer, score, settings.early_stopping_patience, after_epoch, ranks)
    with listener(console) as progress:
        kind = ClassifierTrainer if lesson is None else partial(DistillingTrainer, lesson=lesson)
        trainer = kind(
            model=model,
            args=training_arguments(settings, run.trainer, epochs, rate, precision, ranks),
            train_dataset=encoded.train,
            data_collator=collator(_pad(tokenization)),
            callbacks=[
                # before the best epoch is kept and before a checkpoint is written, since both hold its state
                *([budget] if budget is not None else []),
                best,
                CheckpointClock(settings.checkpoint_every_s, ranks),
                ProgressListener(progress, best),
            ],
            penalty=budget.penalty if budget is not None else None,
            loss=task.loss(settings, dataset),
            drawn=drawn_rows(settings, dataset, len(encoded.train) - len(dataset.train)),
            batches=query_batches(settings, encoded.train, ranks),
            settings=settings,
        )
        trainer.remove_callback(PrinterCallback)
        seconds = _train_or_resume(trainer, run, epochs, progress, console)
    best.restore(model)
    merge(model, settings)
    effort = Effort(
        trained_weights=trained_weights,
        weights=sum(parameter.numel() for parameter in model.parameters()),
        epochs=len(best.scores),
        best_epoch=best.best_epoch,
        seconds_per_epoch=seconds / max(1, best.scored_now),
    )
    chosen = {"epochs": epochs, "learning_rate": rate, "mixed_precision": precision}
    return {**chosen, "loss": settings.loss or usual_loss(settings.task)}, effort


def query_batches(settings: FineTuneSettings, rows: EncodedDataset, ranks: Ranks) -> QueryBatches | None:
    """For losses that compare the candidates of a query; None for all others. Raises InvalidSettings for several processes."""
    if settings.loss not in RANKING_LOSSES:
        return None
    if ranks.size > 1:
        raise InvalidSettings(
            f"loss {settings.loss} compares rows of a batch, which several processes would share out: use one"
        )
    targets = np.stack([np.asarray(row.target) for row in rows.rows])
    return QueryBatches(targets[:, 1].astype(int).tolist(), targets[:, 0].tolist(), settings.batch_size, settings.seed)


def _train_or_resume(
    trainer: ClassifierTrainer, run: RunDirectory, epochs: int, progress: Steps, console: Console
) -> float:
    """Seconds that the loop ran."""
    checkpoint = get_last_checkpoint(str(run.trainer))
    if checkpoint is not None:
        console.print(f"resuming from {Path(checkpoint).name} of an earlier attempt that was cut off")
    else:
        progress("fine-tuning", 0, epochs * len(trainer.get_train_dataloader()), "")
    begun = time.monotonic()
    trainer.train(resume_from_checkpoint=checkpoint)
    return time.monotonic() - begun


def _save_checkpoint(model: SequenceClassifier, tokenization: Tokenization, run: RunDirectory) -> None:
    aside = run.root / "checkpoint.partial"
    shutil.rmtree(aside, ignore_errors=True)
    model.save(aside)
    shutil.copytree(tokenization.folder, aside, dirs_exist_ok=True)
    shutil.rmtree(run.checkpoint, ignore_errors=True)
    aside.replace(run.checkpoint)


def _discard_training_state(run: RunDirectory) -> None:
    """Optimizer states are large and a complete run needs them no more; TensorBoard's events stay."""
    for path in run.trainer.glob("checkpoint-*"):
        shutil.rmtree(path)
    for path in (run.trainer / "best.safetensors", *run.trainer.glob("teacher-*.safetensors")):
        path.unlink(missing_ok=True)
    shutil.rmtree(run.root / "tokenizer", ignore_errors=True)


def _pad(tokenization: Tokenization) -> int:
    token = tokenization.tokenizer.pad_token_id
    return int(token) if token is not None else 0


def use_threads(count: int | None) -> None:
    """Limits torch to `count` threads, if given."""
    if count is not None:
        torch.set_num_threads(count)
