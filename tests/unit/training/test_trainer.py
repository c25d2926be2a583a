"""The training loops: what their loss is made of, and that a kill at any moment loses no epoch's score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import nn
from transformers import TrainerControl, TrainerState, TrainingArguments, set_seed

from tests.fakes.tiny_encoder import write_tiny_encoder
from training.contrastive import as_column
from training.data_parallel import ALONE, Ranks
from training.data_settings import DataSettings
from training.distillation.imitation import imitation_of
from training.distillation.settings import DistillationSettings
from training.distillation.trainer import DistillingTrainer, Lesson
from training.embedding.losses import loss_of
from training.embedding.trainer import EncoderTrainer
from training.encoding import EncodedDataset, EncodedExample
from training.heads import HeadSettings, SequenceClassifier, load_encoder
from training.resuming import train_on
from training.run import RunDirectory
from training.sampling import EpochRows
from training.sentence_encoder import SentenceEncoder
from training.settings import FineTuneSettings
from training.trainer import BestEpoch, CheckpointClock, ClassifierTrainer, go_on, training_arguments

ROWS = EncodedDataset(
    [EncodedExample([2, *range(5, 8 + row % 3), 3], [0] * (5 + row % 3), row % 2) for row in range(12)]
)
ANSWERED = EncodedDataset([replace(row, answer=np.float32([0.3, 0.7])) for row in ROWS.rows])
SETTINGS = FineTuneSettings(data=DataSettings(path="x"), name="x", batch_size=4)
ARGUMENTS: Any = None


class Killed(BaseException):
    """In place of a signal: whatever the process had in memory is gone."""


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_encoder(tmp_path_factory.mktemp("encoder"))


def trainer_of(kind: type[ClassifierTrainer], model: nn.Module, folder: Path, epochs: int = 1, **more: Any) -> Any:
    return kind(
        model=model,
        args=training_arguments(SETTINGS, folder, epochs, 1e-3, "no", ALONE),
        drawn=EpochRows(["a", "b"] * 6, "none", 0),
        settings=SETTINGS,
        **{"loss": nn.CrossEntropyLoss(), "train_dataset": ROWS, "data_collator": ROWS.collator(0), **more},
    )


def classifier(encoder: Path) -> SequenceClassifier:
    set_seed(0)
    return SequenceClassifier(load_encoder(str(encoder)), HeadSettings(labels=["a", "b"], pooling="mean", dropout=0.1))


def of_labels(encoder: Path, folder: Path, **more: Any) -> Any:
    return trainer_of(ClassifierTrainer, classifier(encoder), folder, **more)


def of_teachers(encoder: Path, folder: Path, **more: Any) -> Any:
    taught = Lesson(DistillationSettings(teachers=("t",)), imitation_of("single_label_classification"), None, [])
    return trainer_of(DistillingTrainer, classifier(encoder), folder, lesson=taught, train_dataset=ANSWERED, **more)


def of_vectors(encoder: Path, folder: Path, **more: Any) -> Any:
    parts = {"loss": loss_of("label", SETTINGS), "data_collator": as_column(ROWS.collator(0))}
    return trainer_of(EncoderTrainer, SentenceEncoder(load_encoder(str(encoder)), "mean"), folder, **parts, **more)


@pytest.mark.parametrize("make", [of_labels, of_teachers, of_vectors])
def test_what_a_method_adds_to_the_loss_counts_in_every_loop(
    encoder: Path, tmp_path: Path, make: Callable[..., Any]
) -> None:
    plain, more = make(encoder, tmp_path), make(encoder, tmp_path, penalty=lambda: torch.tensor(1.0))
    losses = []
    for trainer in (plain, more):
        batch = trainer.data_collator(trainer.train_dataset.rows[:4])
        losses.append(trainer.compute_loss(trainer.model.eval(), batch).item())
    assert losses[1] == pytest.approx(losses[0] + 1.0, abs=1e-5)


class Scored:
    """A run whose epochs are scored; the process dies in the midst of scoring number `dies_in`."""

    def __init__(self, encoder: Path, root: Path, epochs: int, dies_in: int | None = None) -> None:
        run, self.asked, self._dies_in = RunDirectory(root), 0, dies_in
        self.model = classifier(encoder)
        run.trainer.mkdir(parents=True, exist_ok=True)
        self.best = BestEpoch(run.trainer, self._score, 9, go_on, ALONE)
        callbacks = [self.best, CheckpointClock(1e-9, ALONE)]
        trainer = trainer_of(ClassifierTrainer, self.model, run.trainer, epochs, callbacks=callbacks)
        train_on(trainer, run, Console(quiet=True))
        self.steps = trainer.state.global_step
        self.best.restore(self.model)

    def _score(self, module: nn.Module) -> float:
        self.asked += 1
        if self.asked == self._dies_in:
            raise Killed
        return float(next(module.parameters()).detach().abs().sum())


@pytest.mark.parametrize(("epochs", "dies_in"), [(1, 1), (3, 2), (3, 3)])
def test_a_kill_while_an_epoch_is_scored_does_not_lose_its_score(
    encoder: Path, tmp_path: Path, epochs: int, dies_in: int
) -> None:
    whole = Scored(encoder, tmp_path / "whole", epochs)
    with pytest.raises(Killed):
        Scored(encoder, tmp_path / "cut", epochs, dies_in)
    resumed = Scored(encoder, tmp_path / "cut", epochs)
    assert resumed.best.scores == whole.best.scores
    expected, actual = whole.model.state_dict(), resumed.model.state_dict()
    assert all(torch.equal(expected[name], actual[name]) for name in expected)


def test_a_training_that_had_ended_is_not_repeated(encoder: Path, tmp_path: Path) -> None:
    whole = Scored(encoder, tmp_path / "run", 2)
    again = Scored(encoder, tmp_path / "run", 2)
    assert again.asked == 0
    assert again.steps == whole.steps
    assert again.best.scores == whole.best.scores


class SecondOfTwo(Ranks):
    """A process whose scores differ from the first one's by the order of its GPU's sums; that one stops."""

    def __init__(self) -> None:
        super().__init__(1, 2)

    def as_the_first(self, choice: bool) -> bool:
        return True


def test_processes_stop_together_whatever_each_has_scored(tmp_path: Path) -> None:
    best, control = BestEpoch(tmp_path, lambda _: 0.5, 9, go_on, SecondOfTwo()), TrainerControl()
    best.on_epoch_end(ARGUMENTS, TrainerState(epoch=1.0), control, nn.Linear(1, 1))
    assert control.should_training_stop


def test_a_batch_is_one_batch_however_many_gpus_a_process_sees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = TrainingArguments.__post_init__

    def on_a_machine_of_four(self: TrainingArguments) -> None:
        usual(self)
        self._n_gpu = 4

    monkeypatch.setattr(TrainingArguments, "__post_init__", on_a_machine_of_four)
    arguments = training_arguments(SETTINGS, tmp_path, 1, 1e-3, "no", ALONE)
    assert arguments.train_batch_size == SETTINGS.batch_size
