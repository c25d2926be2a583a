"""`python -m training report`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from training.commands.data_options import Threads
from training.commands.option_groups import given, with_option_groups
from training.terminal import console, failures_shown, quiet_libraries


@dataclass(frozen=True)
class ReportOptions:
    """Fields of `training.report.settings.ReportSettings` under their own names."""

    robustness_rows: Annotated[
        int | None, typer.Option(help="Test rows to perturb for the report; 0 for none.", show_default="200")
    ] = None
    explained_rows: Annotated[
        int | None, typer.Option(help="Test rows to explain in the report; 0 for none.", show_default="6")
    ] = None
    license: Annotated[
        str | None, typer.Option(help="Of the model, for its card, such as apache-2.0.", show_default="unknown")
    ] = None


@with_option_groups
def report(
    run: Annotated[Path, typer.Option(help="A complete run, such as runs/news.")],
    threads: Threads = None,
    *,
    options: ReportOptions,
) -> None:
    """Make the evaluation report of a complete run anew: report.html, report.json and model_card.md in RUN/evaluation."""
    quiet_libraries()
    from training.failures import InvalidSettings
    from training.run import RunDirectory

    with failures_shown():
        directory = RunDirectory(run)
        record = directory.record()
        if record is None:
            raise InvalidSettings(
                f"{run} is not a complete run (no run.json, or one of another version of this program): finish it with "
                "`python -m training fit`"
            )
        from training.progress import listener
        from training.report.making import chosen_settings, renewed_report
        from training.threads import use_threads

        use_threads(threads)
        settings = chosen_settings(directory, record, given(options))
        with listener(console) as progress:
            made = renewed_report(directory, record, settings, progress)
        for sentence in made.attention:
            console.print(f"[yellow]note[/] {sentence}", highlight=False)
        console.print(f"[bold]evaluation report[/] {directory.evaluation / 'report.html'}", highlight=False)
