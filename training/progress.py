"""Progress of long steps: a bar with an estimate of the time left, or plain lines where there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

LINE_EVERY_S = 15.0


class Steps:
    """Shows several named tasks, each with done and total; callable as a `training.duplicates.Progress`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._started: dict[str, float] = {}
        self._last_line = 0.0

    def __enter__(self) -> Steps:
        if self._console.is_terminal:
            self._bars = Progress(
                TextColumn("{task.description:<28}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}"),
                console=self._console,
            )
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def __call__(self, task: str, done: int, total: int, note: str = "") -> None:
        """Reports that `done` of `total` units of `task` are finished."""
        if self._bars is None:
            self._line(task, done, total, note)
            return
        if task not in self._tasks:
            self._tasks[task] = self._bars.add_task(task, total=total, completed=done, note=note)
        self._bars.update(self._tasks[task], completed=done, total=total, note=note)

    def _line(self, task: str, done: int, total: int, note: str) -> None:
        now = time.monotonic()
        begun = self._started.setdefault(task, now)
        if done < total and now - self._last_line < LINE_EVERY_S:
            return
        self._last_line = now
        elapsed = now - begun
        left = f", {elapsed / done * (total - done):.0f} s left" if 0 < done < total and elapsed > 1 else ""
        self._console.print(f"{task}: {done:,} of {total:,}, {elapsed:.0f} s{left} {note}".rstrip(), highlight=False)
        self._console.file.flush()


@contextmanager
def listener(console: Console) -> Iterator[Steps]:
    """A `Steps` for the length of a block."""
    with Steps(console) as steps:
        yield steps
