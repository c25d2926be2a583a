"""A run that was cut off: what it left is gone on from, or removed when it was another run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Protocol


class Directory(Protocol):
    """Where a step works: `root` holds everything, `trainer` the state of training, `record_path` says that it is complete."""

    root: Path
    trainer: Path
    record_path: Path


def discard_other_attempt(run: Directory, step_fingerprint: str) -> None:
    """Removes what an attempt with other data, settings or code left; keeps what this very attempt can resume from."""
    mark = run.trainer / "fingerprint"
    run.record_path.unlink(missing_ok=True)
    if not mark.is_file() or mark.read_text(encoding="utf-8") != step_fingerprint:
        shutil.rmtree(run.root, ignore_errors=True)
    run.trainer.mkdir(parents=True, exist_ok=True)
    mark.write_text(step_fingerprint, encoding="utf-8")


def last_checkpoint(run: Directory) -> Path | None:
    """The last complete checkpoint of Trainer, which writes its state last; one that a kill left unfinished has none."""
    complete = [path.parent for path in run.trainer.glob("checkpoint-*/trainer_state.json")]
    return max(complete, key=lambda checkpoint: int(checkpoint.name.partition("-")[2]), default=None)
