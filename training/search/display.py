"""A search on the terminal: a line for each trial, the one that runs, the time left, the table at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.table import Table

from training.search.estimate import in_words, seconds_left
from training.search.results import StudyResult
from training.search.wording import percent, shown_parameters, verdict

SHOWN = 5


class Display:
    """Tells how the search of `limit` trials goes."""

    def __init__(self, console: Console, limit: int) -> None:
        self._console = console
        self._limit = limit
        self._status: Status | None = None
        self._running = ""

    @contextmanager
    def live(self) -> Iterator[None]:
        """Shows what runs now, where there is a terminal."""
        if not self._console.is_terminal:
            yield
            return
        with self._console.status("starting") as self._status:
            yield
        self._status = None

    def epoch(self, number: int, epoch: int, epochs: int, score: float, result: StudyResult) -> None:
        """An epoch of this worker's trial ended."""
        self._running = f"trial {number}, epoch {epoch} of {epochs}, {percent(score)}"
        self.now(result)

    def now(self, result: StudyResult) -> None:
        """Renews the line of what runs."""
        if self._status is not None:
            self._status.update("  ".join(filter(None, (self._running, self._outlook(result)))))

    def waiting(self, result: StudyResult) -> None:
        """All trials are given out and some still run elsewhere."""
        numbers = ", ".join(str(trial.number) for trial in result.running)
        self._running = f"waiting for trial {numbers} of another worker"
        if self._status is None:
            self._console.print(f"{self._running}, in case it was cut off", highlight=False)
        self.now(result)

    def ended(self, number: int, result: StudyResult) -> None:
        """This worker's trial ended: a line that stays."""
        self._running = ""
        trial = result.trials[number]
        outcome = {
            "pruned": f"{percent(trial.score)}, stopped after epoch {max(trial.scores, default=0)}",
            "failed": f"failed: {escape(trial.failure or '')}",
            "complete": percent(trial.score),
        }.get(trial.state, "left to another worker")
        note = "[bold]start[/]: " if trial.start else ""
        seconds = f", {trial.seconds:.0f} s" if trial.seconds is not None else ""
        self._console.print(
            f"[{len(result.finished)} of {self._limit}] trial {number}: {outcome}{seconds}; {self._outlook(result)}\n"
            f"    {note}{escape(shown_parameters(trial))}",
            highlight=False,
        )
        self._console.file.flush()

    def _outlook(self, result: StudyResult) -> str:
        best = f"best {percent(result.best.score)} (trial {result.best.number}), " if result.best else ""
        if len(result.finished) >= self._limit:
            return best.removesuffix(", ")
        return best + in_words(seconds_left(result, self._limit, datetime.now()))

    def end(self, result: StudyResult, rows: int, best: Path | None, page: Path) -> None:
        """The best trials beside the start, and what to do next. `rows` is the size of the validation split."""
        table = Table("trial", box=None, pad_edge=False)
        table.add_column("validation", justify="right")
        table.add_column("seconds", justify="right")
        table.add_column("settings", overflow="fold")
        ranked = sorted(result.complete, key=lambda trial: (-(trial.score or 0.0), trial.number))
        shown = ranked[:SHOWN] + [trial for trial in ranked[SHOWN:] if trial.start]
        for trial in shown:
            name = f"{trial.number} (start)" if trial.start else str(trial.number)
            table.add_row(name, percent(trial.score), f"{trial.seconds or 0:.0f}", shown_parameters(trial))
        self._console.print(table)
        self._console.print(f"[dim]{verdict(result, rows)}[/]", highlight=False)
        self._console.print(f"[bold]report[/] {page}", highlight=False)
        if best is not None:
            self._console.print(
                f"[bold]next[/] python -m training fit --config {best}", highlight=False, soft_wrap=True
            )
