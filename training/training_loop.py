"""The training loop of one run: what learns, by which loss, in which order, until the best epoch's weights stand."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console
from torch import nn
from transformers import PrinterCallback

from training.compilation import compile_layers
from training.data_parallel import ALONE, Ranks
from training.dataset import Dataset
from training.embedding.rows import EncodedRows
from training.encoding import EncodedDataset
from training.epoch_batches import EpochBatches
from training.heads import Classifier
from training.methods import apply_method, merge, trainable
from training.model_making import Tokenization
from training.outputs import Logits, finite
from training.progress import Steps, listener
from training.query_batches import QueryBatches
from training.resuming import last_checkpoint, train_on
from training.run import Effort, RunDirectory
from training.schedule import drawn_rows, epochs_and_rate
from training.scope.exposure import exposed
from training.scope.judging import Rows
from training.sentence_encoder import SentenceEncoder
from training.settings import RANKING_LOSSES, FineTuneSettings, usual_loss
from training.tasks import Objective
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


@dataclass(frozen=True, slots=True)
class Encoded:
    """The three splits as token ids."""

    train: EncodedDataset | EncodedRows
    validation: EncodedDataset
    test: EncodedDataset
    outside: Rows | None = None
    """The texts out of scope, where there are any."""


def train(
    settings: FineTuneSettings,
    task: Objective[Any],
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
    rows, loss = _learned_from(settings, encoded, task.loss(settings, dataset))
    if settings.gradient_checkpointing:
        model.encoder.gradient_checkpointing_enable({"use_reentrant": False})
    budget = apply_method(model, settings)
    if settings.compile_layers:
        compile_layers(model.encoder)
    trained_weights = trainable(model)
    precision = chosen_precision(settings.mixed_precision)
    score = _score_of(task, dataset, encoded.validation, tokenization.pad_token_id)
    best = BestEpoch(run.trainer, score, settings.early_stopping_patience, after_epoch, ranks)
    with listener(console) as progress:
        trainer = loop(
            model=model,
            args=training_arguments(settings, run.trainer, epochs, rate, precision, ranks),
            train_dataset=rows,
            data_collator=encoded.train.collator(tokenization.pad_token_id),
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
            batches=composed_batches(settings, encoded.train),
            settings=settings,
        )
        trainer.remove_callback(PrinterCallback)
        seconds = _train_or_resume(trainer, run, epochs, progress, console)
    best.restore(model)
    merge(model, settings)
    chosen = {"epochs": epochs, "learning_rate": rate, "mixed_precision": precision}
    effort = _effort(model, best, trained_weights, seconds)
    return {**chosen, "loss": settings.loss or usual_loss(settings.task)}, effort


def _learned_from(
    settings: FineTuneSettings, encoded: Encoded, loss: nn.Module
) -> tuple[EncodedDataset | EncodedRows, nn.Module]:
    """The rows and their loss; with exposure the texts out of scope are among them."""
    rows, scope = encoded.train, settings.out_of_scope
    if scope is None or not scope.exposure or encoded.outside is None:
        return rows, loss
    assert isinstance(rows, EncodedDataset)  # as of every task that takes such texts
    return exposed(loss, rows, encoded.outside.train, scope)


def _score_of(
    task: Objective[Any], dataset: Dataset, validation: EncodedDataset, pad_token_id: int
) -> Callable[[nn.Module], float]:
    """What tells how good a model is that is being trained."""
    truth = task.truth(dataset.validation, dataset.labels)

    def score(model: nn.Module) -> float:
        training = model.training
        logits = predict_logits(model, validation, pad_token_id)
        model.train(training)
        return epoch_score(task, logits, truth)

    return score


def _effort(model: nn.Module, best: BestEpoch, trained_weights: int, seconds: float) -> Effort:
    return Effort(
        trained_weights=trained_weights,
        weights=sum(parameter.numel() for parameter in model.parameters()),
        epochs=len(best.scores),
        best_epoch=best.best_epoch,
        seconds_per_epoch=seconds / max(1, best.scored_now),
    )


def epoch_score(task: Objective[Any], logits: Logits, truth: Any) -> float:
    """How good the model is after an epoch, 1 at best; -inf where its outputs are not finite, so that no epoch is worse."""
    return task.score(logits, truth) if finite(logits) else float("-inf")


def composed_batches(settings: FineTuneSettings, rows: EncodedDataset | EncodedRows) -> EpochBatches | None:
    """For losses that compare the rows of a batch; None for all others."""
    if isinstance(rows, EncodedRows):
        return rows.batches(settings.batch_size, settings.seed)
    if settings.loss not in RANKING_LOSSES:
        return None
    targets = np.stack([np.asarray(row.target) for row in rows.rows])
    return QueryBatches(targets[:, 1].astype(int).tolist(), targets[:, 0].tolist(), settings.batch_size, settings.seed)


def _train_or_resume(
    trainer: ClassifierTrainer, run: RunDirectory, epochs: int, progress: Steps, console: Console
) -> float:
    """Seconds that the loop ran."""
    if last_checkpoint(run) is None:
        progress("fine-tuning", 0, epochs * len(trainer.get_train_dataloader()), "")
    begun = time.monotonic()
    train_on(trainer, run, console)
    return time.monotonic() - begun
