"""What a model learns from: the labels of its rows, or what teachers answer beside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from rich.console import Console

from training.dataset import Dataset
from training.distillation.distiller import Distiller
from training.encoders import EncoderSource, find_encoder
from training.encoding import EncodedDataset
from training.heads import Classifier
from training.model_making import Tokenization, make_model
from training.preparation import Prepared
from training.run import DistillationRecord, RunDirectory
from training.settings import FineTuneSettings
from training.tasks import Judgement
from training.trainer import ClassifierTrainer


class Supervision(Protocol):
    """Asked by fine-tuning at each of its steps, in the order in which the methods stand here."""

    settings: FineTuneSettings
    """Those that the model is trained by."""
    source: EncoderSource
    """Where its encoder and tokenizer come from."""

    def read(self, prepared: Prepared, console: Console) -> None:
        """Reads what is learned from beside the rows, and checks whether it goes with them. Writes nothing."""

    def ask(self, dataset: Dataset, run: RunDirectory, console: Console) -> None:
        """Has the rows answered by whoever knows more of them than their labels; `run` keeps what was read and answered."""

    def student(self, tokenization: Tokenization, labels: list[str]) -> Classifier:
        """The model before it is trained."""

    def training_rows(self, labelled: EncodedDataset, tokenization: Tokenization, max_length: int) -> EncodedDataset:
        """The labelled rows with all that is known of them, and behind them those without a label."""

    def loop(self) -> Callable[..., ClassifierTrainer]:
        """Makes the training loop, whose loss takes such rows."""

    def record(self, dataset: Dataset, judgement: Judgement) -> DistillationRecord | None:
        """Who taught, and how much of it stayed; None where the labels did."""


class Labels:
    """The labels alone."""

    def __init__(self, settings: FineTuneSettings) -> None:
        self.settings = settings
        self.source = find_encoder(settings.model)

    def read(self, prepared: Prepared, console: Console) -> None:
        """There is nothing else."""

    def ask(self, dataset: Dataset, run: RunDirectory, console: Console) -> None:
        """There is nobody to ask."""

    def student(self, tokenization: Tokenization, labels: list[str]) -> Classifier:
        """The encoder with a new head."""
        return make_model(self.source, tokenization, labels, self.settings)

    def training_rows(self, labelled: EncodedDataset, tokenization: Tokenization, max_length: int) -> EncodedDataset:
        """As they are."""
        return labelled

    def loop(self) -> Callable[..., ClassifierTrainer]:
        """With the task's own loss."""
        return ClassifierTrainer

    def record(self, dataset: Dataset, judgement: Judgement) -> None:
        """Of no teachers."""


def supervision_of(settings: FineTuneSettings) -> Supervision:
    """What the settings say. Raises InvalidSettings where the encoder or a teacher cannot be used."""
    return Labels(settings) if settings.distillation is None else Distiller(settings, settings.distillation)
