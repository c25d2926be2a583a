"""Training that goes on from where an earlier attempt was cut off."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from transformers import Trainer
from transformers.integrations import TensorBoardCallback

from training.attempts import Directory
from training.failures import TrainingFailure


def train_on(trainer: Trainer, run: Directory, console: Console, stage: str = "") -> None:
    """Trains, from the last checkpoint where an earlier attempt left one; what is told begins with `stage`."""
    checkpoint = last_checkpoint(run)
    if checkpoint is not None:
        console.print(f"{stage}resuming from {checkpoint.name} of an earlier attempt that was cut off")
    try:
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    except TrainingFailure:
        _close_events(trainer)
        raise


def _close_events(trainer: Trainer) -> None:
    """A training that ends before its time leaves the writer of TensorBoard's events open, and the folder may be removed now."""
    events = trainer.pop_callback(TensorBoardCallback)
    if events is not None and events.tb_writer is not None:
        events.tb_writer.close()


def last_checkpoint(run: Directory) -> Path | None:
    """The last complete checkpoint of Trainer, which writes its state last; one that a kill left unfinished has none."""
    complete = [path.parent for path in run.trainer.glob("checkpoint-*/trainer_state.json")]
    return max(complete, key=lambda checkpoint: int(checkpoint.name.partition("-")[2]), default=None)
