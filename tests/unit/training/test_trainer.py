"""The training loops: what their loss is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import set_seed

from tests.fakes.tiny_encoder import write_tiny_encoder
from training.contrastive import as_column
from training.data_parallel import ALONE
from training.data_settings import DataSettings
from training.distillation.imitation import imitation_of
from training.distillation.settings import DistillationSettings
from training.distillation.trainer import DistillingTrainer, Lesson
from training.embedding.losses import loss_of
from training.embedding.trainer import EncoderTrainer
from training.encoding import EncodedDataset, EncodedExample
from training.heads import HeadSettings, SequenceClassifier, load_encoder
from training.sampling import EpochRows
from training.sentence_encoder import SentenceEncoder
from training.settings import FineTuneSettings
from training.trainer import ClassifierTrainer, training_arguments

ROWS = EncodedDataset(
    [EncodedExample([2, *range(5, 8 + row % 3), 3], [0] * (5 + row % 3), row % 2) for row in range(12)]
)
ANSWERED = EncodedDataset([replace(row, answer=np.float32([0.3, 0.7])) for row in ROWS.rows])
SETTINGS = FineTuneSettings(data=DataSettings(path="x"), name="x", batch_size=4)


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
