"""The folder of a run and the attempts at it: another attempt is removed, a complete run stays until it is replaced."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from training.failures import InvalidSettings, TrainingFailure


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


@contextmanager
def replacing(run: Directory, step_fingerprint: str, first: bool = True) -> Iterator[None]:
    """Empties the folder of what an attempt with other data, settings or code left; keeps what this very attempt can resume from.

    A complete run waits beside the folder until the attempt within is complete, and comes back when that ends in a
    TrainingFailure; one that is killed leaves it waiting. Of processes that train together the `first` alone moves anything.

    Raises InvalidSettings for a folder that others made, which is left as it is.
    """
    if not first:
        yield
        return
    waiting = run.root.with_name(f".{run.root.name}.earlier")
    record = waiting / run.record_path.name
    if run.record_path.is_file() and not _is_of(run, step_fingerprint):
        _remove(waiting, record)
        run.root.rename(waiting)
    discard_other_attempt(run, step_fingerprint)
    try:
        yield
    except TrainingFailure:
        if record.is_file():
            remove(run)
            waiting.rename(run.root)
        raise
    _remove(waiting, record)


def remove(run: Directory) -> None:
    """A kill on the way leaves a folder that is known as an attempt's, or an empty one."""
    if run.root.exists():
        _empty(run.root, _mark(run))
    shutil.rmtree(run.root, ignore_errors=True)


def _remove(folder: Path, record: Path) -> None:
    record.unlink(missing_ok=True)  # first: what is left by a kill is no complete run
    shutil.rmtree(folder, ignore_errors=True)


def discard_other_attempt(run: Directory, step_fingerprint: str) -> None:
    """Removes what an attempt with other data, settings or code left; keeps what this very attempt can resume from.

    Raises InvalidSettings for a folder that others made, which is left as it is.
    """
    require_own_folder(run)
    mark, other = _mark(run), not _is_of(run, step_fingerprint)
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


def _is_of(run: Directory, step_fingerprint: str) -> bool:
    mark = _mark(run)
    return mark.is_file() and mark.read_text(encoding="utf-8") == step_fingerprint


def _empty(folder: Path, mark: Path) -> None:
    for path in list(folder.iterdir()):
        if path in mark.parents:
            _empty(path, mark)
        elif path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path != mark:
            path.unlink()
