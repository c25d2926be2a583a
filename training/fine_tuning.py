"""The training step as a whole: from settings to a complete run directory."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import nn
from transformers import PrinterCallback, set_seed

from training.attempts import discard_other_attempt, last_checkpoint
from training.data_parallel import Ranks
from training.data_settings import DataSettings
from training.data_summary import summarise, write_report
from training.dataset import Dataset, Split
from training.distillation.distiller import Distiller
from training.distillation.trainer import DistillingTrainer
from training.embedding.batches import EpochBatches
from training.embedding.rows import EncodedRows
from training.encoders import EncoderSource, find_encoder
from training.encoding import EncodedDataset, chosen_max_length, encode, token_counter
from training.failures import InvalidSettings
from training.heads import Classifier, Pooling, SequenceClassifier
from training.methods import apply_method, merge, trainable
from training.model_making import Tokenization, load_tokenizer, make_model, make_tokenizer, position_limit
from training.preparation import Prepared, prepare
from training.progress import Steps, listener
from training.query_batches import QueryBatches
from training.run import DistillationRecord, Effort, RunDirectory, RunRecord
from training.schedule import drawn_rows, epochs_and_rate
from training.scope.detector import ScopeDetector
from training.scope.exposure import exposed
from training.scope.judging import Rows, judge_scope
from training.scope.preparation import encoded_outside, prepared_outside
from training.scope.record import ScopeRecord
from training.sentence_encoder import SentenceEncoder
from training.settings import RANKING_LOSSES, FineTuneSettings, usual_loss
from training.tagging.words import dataset_with_words
from training.tasks import Judgement, Task, task_of
from training.tasks.files import add_to_metrics
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

    train: EncodedDataset | EncodedRows
    validation: EncodedDataset
    test: EncodedDataset
    outside: Rows | None = None
    """The texts out of scope, where there are any."""


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
    prepared = prepared_rows(settings.data, source, run, console)
    outside = prepared_outside(settings, prepared, run, console)
    dataset, task = prepared.dataset, task_of(settings.task)
    if distiller is not None:
        with ranks.first_before_others():  # they read what it wrote
            distiller.ask(prepared, console)
    tokenization = fitting_tokenizer(source, dataset, settings, run, console)
    set_seed(settings.seed)
    model = (
        make_model(source, tokenization, dataset.labels, settings)
        if distiller is None
        else distiller.student(tokenization, dataset.labels)
    )
    max_length = fitting_length(settings, dataset, tokenization, position_limit(model.config))
    dataset = dataset_with_words(dataset, tokenization.folder, max_length)
    rows, validation, test = (
        encode(part, tokenization.tokenizer, task.truth(part, dataset.labels), max_length)
        for part in (dataset.train, dataset.validation, dataset.test)
    )
    train_rows = rows
    loop: Callable[..., ClassifierTrainer] = ClassifierTrainer
    if distiller is not None:
        rows = distiller.training_rows(rows, tokenization, max_length)
        loop = partial(DistillingTrainer, lesson=distiller.lesson())
    known = None if outside is None else encoded_outside(outside, tokenization, max_length)
    encoded = Encoded(rows, validation, test, known)
    config, effort = train(settings, task, dataset, encoded, model, tokenization, run, console, ranks=ranks, loop=loop)
    logits = {
        Split.VALIDATION: predict_logits(model, encoded.validation, padding(tokenization)),
        Split.TEST: predict_logits(model, encoded.test, padding(tokenization)),
    }
    run.evaluation.mkdir(parents=True, exist_ok=True)
    judgement = task.judge(logits, dataset, run.evaluation)
    model.shift(judgement.shift)
    detector, scope = None, None
    if settings.out_of_scope is not None:
        assert isinstance(model, SequenceClassifier)
        inside = Rows(train_rows, validation, test)
        detector, scope = judge_scope(model, inside, encoded.outside, settings.out_of_scope, padding(tokenization))
        add_to_metrics(run.evaluation, {"out_of_scope": scope.model_dump()})
    save_checkpoint(partial(_save, model, detector), tokenization, run)
    taught = None if distiller is None else distiller.record(dataset, judgement)
    facts = Facts(
        max_length, model.settings.pooling, prepared.pair, step_fingerprint, time.monotonic() - begun, taught, scope
    )
    return complete(run, settings, dataset, judgement, effort, config, facts, ranks)


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
        versions={name: version(name) for name in LIBRARIES},
        seconds=facts.seconds,
        create_time=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    run.write_record(record)
    ranks.wait()
    if ranks.first:
        _discard_training_state(run)
    return record


def prepared_rows(settings: DataSettings, source: EncoderSource, run: RunDirectory, console: Console) -> Prepared:
    """Reads, cleans and splits; leaves the rows and the report in the run."""
    with listener(console) as progress:
        prepared = prepare(settings, token_counter(load_tokenizer(source.location)), progress)
    write_report(prepared.report, run.data)
    summarise(prepared.report, console)
    dataset = prepared.dataset
    for split, rows in zip(Split, (dataset.train, dataset.validation, dataset.test), strict=True):
        run.write_split(split, rows)
    return prepared


def fitting_tokenizer(
    source: EncoderSource, dataset: Dataset, settings: FineTuneSettings, run: RunDirectory, console: Console
) -> Tokenization:
    """The tokenizer of the run, and a word about what it gained."""
    tokenization = make_tokenizer(source, dataset, settings, run.root / "tokenizer")
    if tokenization.added:
        console.print(f"vocabulary extended by {tokenization.added:,} characters that {settings.model} does not know")
    return tokenization


def fitting_length(settings: FineTuneSettings, dataset: Dataset, tokenization: Tokenization, limit: int) -> int:
    """Tokens a text is cut to: as the settings say, or what the training rows need; never above the encoder's `limit`."""
    if settings.max_length is not None:
        return min(settings.max_length, limit)
    lengths = encode(dataset.train, tokenization.tokenizer, [0] * len(dataset.train), limit).lengths
    return chosen_max_length(lengths, limit)


def train(
    settings: FineTuneSettings,
    task: Task[Any],
    dataset: Dataset,
    encoded: Encoded,
    model: Classifier | SentenceEncoder,
    tokenization: Tokenization,
    run: RunDirectory,
    console: Console,
    after_epoch: AfterEpoch = go_on,
    ranks: Ranks = ALONE,
    loop: Callable[..., ClassifierTrainer] = ClassifierTrainer,
) -> tuple[dict[str, object], Effort]:
    """Trains in place and leaves the best epoch's weights in `model`; returns the settings that the data decided, too.

    The test split is not looked at. `after_epoch` can stop the training early. Rows without a label, which a distilling `loop`
    learns from, follow the others.
    """
    epochs, rate = epochs_and_rate(settings, model.config.hidden_size, dataset)
    rows, loss = encoded.train, task.loss(settings, dataset)
    scope = settings.out_of_scope
    if scope is not None and scope.exposure and encoded.outside is not None:
        assert isinstance(rows, EncodedDataset)  # as of every task that takes such texts
        rows, loss = exposed(loss, rows, encoded.outside.train, scope)
    if settings.gradient_checkpointing:
        model.encoder.gradient_checkpointing_enable({"use_reentrant": False})
    budget = apply_method(model, settings)
    trained_weights = trainable(model)
    precision = chosen_precision(settings.mixed_precision)
    truth = task.truth(dataset.validation, dataset.labels)

    def score(module: nn.Module) -> float:
        training = module.training
        logits = predict_logits(module, encoded.validation, padding(tokenization))
        module.train(training)
        return task.score(logits, truth)

    best = BestEpoch(run.trainer, score, settings.early_stopping_patience, after_epoch, ranks)
    with listener(console) as progress:
        trainer = loop(
            model=model,
            args=training_arguments(settings, run.trainer, epochs, rate, precision, ranks),
            train_dataset=rows,
            data_collator=encoded.train.collator(padding(tokenization)),
            callbacks=[
                # before the best epoch is kept and before a checkpoint is written, since both hold its state
                *([budget] if budget is not None else []),
                best,
                CheckpointClock(settings.checkpoint_every_s, ranks),
                ProgressListener(progress, best),
            ],
            penalty=budget.penalty if budget is not None else None,
            loss=loss,
            drawn=drawn_rows(settings, dataset, len(rows) - len(dataset.train)),
            batches=composed_batches(settings, encoded.train, ranks),
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


def composed_batches(
    settings: FineTuneSettings, rows: EncodedDataset | EncodedRows, ranks: Ranks
) -> QueryBatches | EpochBatches | None:
    """For losses that compare the rows of a batch; None for all others. Raises InvalidSettings for several processes."""
    if isinstance(rows, EncodedRows):
        return rows.batches(settings.batch_size, settings.seed)
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
    checkpoint = last_checkpoint(run)
    if checkpoint is not None:
        console.print(f"resuming from {checkpoint.name} of an earlier attempt that was cut off")
    else:
        progress("fine-tuning", 0, epochs * len(trainer.get_train_dataloader()), "")
    begun = time.monotonic()
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint is not None else None)
    return time.monotonic() - begun


def _save(model: Classifier, detector: ScopeDetector | None, folder: Path) -> None:
    model.save(folder)
    if detector is not None:
        detector.save(folder)


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
    for path in run.trainer.glob("checkpoint-*"):
        shutil.rmtree(path)
    for path in (run.trainer / "best.safetensors", *run.trainer.glob("teacher-*.safetensors")):
        path.unlink(missing_ok=True)
    shutil.rmtree(run.root / "tokenizer", ignore_errors=True)


def padding(tokenization: Tokenization) -> int:
    """Id of the padding token."""
    token = tokenization.tokenizer.pad_token_id
    return int(token) if token is not None else 0


def use_threads(count: int | None) -> None:
    """Limits torch to `count` threads, if given."""
    if count is not None:
        torch.set_num_threads(count)
