"""A run that was cut off: what it left is gone on from, or removed when it was another run."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from rich.console import Console

from training.failures import InvalidSettings


class Directory(Protocol):
    """Where a step works: `root` holds everything, `trainer` the state of training, `record_path` says that it is complete."""

    root: Path
    trainer: Path
    record_path: Path


def require_own_folder(run: Directory, inputs: Iterable[str] = ()) -> None:
    """Raises InvalidSettings for a folder that holds files and was made by no attempt, or that holds one of the `inputs`, files
    and folders or names on a hub: it would be emptied."""
    for each in inputs:
        if Path(each).exists() and Path(each).resolve().is_relative_to(run.root.resolve()):
            raise InvalidSettings(
                f"{each} is an input, and would be overwritten by what is written into {run.root}: choose another name"
            )
    ours = _mark(run).is_file() or run.record_path.is_file()
    if not ours and (run.root.is_file() or any(not path.is_dir() for path in run.root.rglob("*"))):
        raise InvalidSettings(f"{run.root} exists and was not made by this command: remove it, or choose another name")


def discard_other_attempt(run: Directory, step_fingerprint: str) -> None:
    """Removes what an attempt with other data, settings or code left; keeps what this very attempt can resume from.

    Raises InvalidSettings for a folder that others made, which is left as it is.
    """
    require_own_folder(run)
    mark = _mark(run)
    other = not mark.is_file() or mark.read_text(encoding="utf-8") != step_fingerprint
    if other:
        # a kill on the way leaves a folder that is known as ours, and in which nothing is resumed from
        run.trainer.mkdir(parents=True, exist_ok=True)
        mark.write_text("", encoding="utf-8")
    run.record_path.unlink(missing_ok=True)
    if other:
        _empty(run.root, mark)
        mark.write_text(step_fingerprint, encoding="utf-8")


def resume_nothing(run: Directory) -> None:
    """Makes what is there another attempt's. It stays, and a complete run stays one, until the next attempt begins."""
    if _mark(run).is_file():
        _mark(run).write_text("", encoding="utf-8")


def _mark(run: Directory) -> Path:
    return run.trainer / "fingerprint"


def _empty(folder: Path, mark: Path) -> None:
    for path in list(folder.iterdir()):
        if path in mark.parents:
            _empty(path, mark)
        elif path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path != mark:
            path.unlink()


def train_on(train: Callable[..., object], run: Directory, console: Console, stage: str = "") -> None:
    """Calls Trainer's `train`, from the last checkpoint where an earlier attempt left one; what is told begins with `stage`."""
    checkpoint = last_checkpoint(run)
    if checkpoint is not None:
        console.print(f"{stage}resuming from {checkpoint.name} of an earlier attempt that was cut off")
    train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))


def last_checkpoint(run: Directory) -> Path | None:
    """The last complete checkpoint of Trainer, which writes its state last; one that a kill left unfinished has none."""
    complete = [path.parent for path in run.trainer.glob("checkpoint-*/trainer_state.json")]
    return max(complete, key=lambda checkpoint: int(checkpoint.name.partition("-")[2]), default=None)
