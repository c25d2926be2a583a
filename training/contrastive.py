"""The contrastive stage before a head is trained, for few rows a class.

After Tunstall et al. 2022, "Efficient Few-Shot Learning Without Prompts" (SetFit): first the encoder learns to put texts of one
label near one another and far from the rest, then a classifier is trained on it. Instead of drawn pairs every batch compares all
of its texts (Khosla et al. 2020).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from safetensors.torch import load_file, save_file
from transformers import PrinterCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments, set_seed

from training.atomic_files import replace_file
from training.data_parallel import ALONE
from training.dataset import Dataset
from training.embedding.batches import LabelBatches
from training.embedding.losses import loss_of
from training.embedding.trainer import EncoderTrainer
from training.encoding import EncodedDataset, EncodedExample
from training.failures import UnusableData
from training.heads import SequenceClassifier
from training.progress import listener
from training.resuming import train_on
from training.run import RunDirectory
from training.schedule import drawn_rows, encoder_rate
from training.sentence_encoder import SentenceEncoder
from training.settings import FineTuneSettings
from training.trainer import CheckpointClock, chosen_precision, training_arguments

STAGE = "contrastive"


def train_contrastively(
    settings: FineTuneSettings,
    dataset: Dataset,
    rows: EncodedDataset,
    model: SequenceClassifier,
    pad_token_id: int,
    run: RunDirectory,
    console: Console,
) -> dict[str, object]:
    """Trains all weights of the encoder in place, over `contrastive_epochs`; returns the settings that were left open.

    Resumes when an earlier attempt was cut off, and does nothing where it had ended: its weights are read. Raises UnusableData
    where no label has two rows.
    """
    rate = settings.contrastive_learning_rate or encoder_rate(model.config.hidden_size)
    done = run.trainer / f"{STAGE}.safetensors"
    if not done.is_file():
        _train(settings, dataset, rows, model, pad_token_id, run, rate, console)
        weights = {name: tensor.contiguous() for name, tensor in model.encoder.state_dict().items()}
        replace_file(done, lambda aside: save_file(weights, aside))
        for checkpoint in (run.trainer / STAGE).glob("checkpoint-*"):
            shutil.rmtree(checkpoint)
    model.encoder.load_state_dict(load_file(done))
    # what follows draws the same whether this process has trained or read
    set_seed(settings.seed)
    return {"contrastive_learning_rate": rate}


def _train(
    settings: FineTuneSettings,
    dataset: Dataset,
    rows: EncodedDataset,
    model: SequenceClassifier,
    pad_token_id: int,
    run: RunDirectory,
    rate: float,
    console: Console,
) -> None:
    batches = LabelBatches([example.label for example in dataset.train], settings.batch_size, settings.seed)
    if not batches.groups:
        raise UnusableData(
            f"{settings.data.path}: no label has two training rows, so no two texts belong together; add rows, or leave out "
            "contrastive_epochs"
        )
    stage, pooling = run.stage(STAGE), model.settings.pooling
    assert pooling is not None  # as of every model of one label a text
    if settings.gradient_checkpointing:
        model.encoder.gradient_checkpointing_enable({"use_reentrant": False})
    precision = chosen_precision(settings.mixed_precision)
    with listener(console) as progress:
        trainer = EncoderTrainer(
            model=SentenceEncoder(model.encoder, pooling),
            args=training_arguments(settings, stage.trainer, settings.contrastive_epochs, rate, precision, ALONE),
            train_dataset=rows,
            data_collator=as_column(rows.collator(pad_token_id)),
            callbacks=[CheckpointClock(settings.checkpoint_every_s, ALONE), _Shown(progress)],
            loss=loss_of("label", settings),
            drawn=drawn_rows(settings, dataset),
            batches=batches,
            settings=settings,
        )
        trainer.remove_callback(PrinterCallback)
        train_on(trainer, stage, console, "contrastive stage: ")


def as_column(collate: Callable[[list[EncodedExample]], dict[str, Any]]) -> Callable[[Sequence[Any]], dict[str, Any]]:
    """Batches of single texts as the losses of sentence encoders want them: one column, and the labels."""

    def columns(rows: Sequence[Any]) -> dict[str, Any]:
        batch = collate(list(rows))
        return {"labels": batch.pop("labels"), "columns": [batch]}

    return columns


class _Shown(TrainerCallback):  # type: ignore[misc]  # transformers has no types here
    """Moves the bar."""

    def __init__(self, show: Callable[[str, int, int, str], None]) -> None:
        self._show = show

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """After each update."""
        self._show("contrastive stage", state.global_step, state.max_steps, "")
