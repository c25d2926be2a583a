"""`python -m training audit` and `python -m training correct`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from training.commands.data_options import DATA, Columns, Threads
from training.commands.option_groups import given, with_option_groups
from training.terminal import console, failures_shown, quiet_libraries


@dataclass(frozen=True)
class AuditOptions:
    """Fields of `training.audit.settings.AuditSettings` under their own names."""

    name: Annotated[str, typer.Option(help="Name of the audit: its files go to OUT/NAME.")]
    model: Annotated[str | None, typer.Option(help="`minilm`, a hub id, or a folder.", show_default="minilm")] = None
    via: Annotated[
        str | None,
        typer.Option(
            help="vectors (seconds to minutes), or fine-tuning (a training run a fold).", show_default="vectors"
        ),
    ] = None
    folds: Annotated[int | None, typer.Option(help="Models that judge each other's rows.", show_default="5")] = None
    max_length: Annotated[int | None, typer.Option(help="Tokens a text is cut to.", show_default=False)] = None
    epochs: Annotated[int | None, typer.Option(help="Of fine-tuning.", show_default=False)] = None
    seed: Annotated[int | None, typer.Option(help="Of the folds and of training.", show_default="13")] = None


@with_option_groups
def audit(
    data: Annotated[str, typer.Option(help=DATA)],
    out: Annotated[Path, typer.Option(help="Folder of the audits.")] = Path("build/audit"),
    write_cleaned: Annotated[
        Path | None, typer.Option(help="Write the data without the issues to this csv file.", show_default=False)
    ] = None,
    all_rows: Annotated[bool, typer.Option("--all-rows", help="List every row in audit.csv, not only issues.")] = False,
    threads: Threads = None,
    *,
    options: AuditOptions,
    columns: Columns,
) -> None:
    """Find the rows whose label is most likely wrong, by confident learning: audit.csv and audit.html in OUT/NAME."""
    quiet_libraries()
    from training.audit.settings import audit_settings

    with failures_shown():
        settings = audit_settings(given(options), columns.settings(data, seed=options.seed))
        from training.audit.command import audit as run_audit
        from training.threads import use_threads

        use_threads(threads)
        run_audit(settings, out / settings.name, console, all_rows, write_cleaned)


@with_option_groups
def correct(
    data: Annotated[str, typer.Option(help="The data that was audited.")],
    corrections: Annotated[Path, typer.Option(help="audit.csv with labels written into corrected_label.")],
    out: Annotated[Path, typer.Option(help="The csv file to write; the data itself is never changed.")],
    *,
    columns: Columns,
) -> None:
    """Write the data with the labels that you corrected in audit.csv."""
    quiet_libraries()
    from training.audit.command import correct as run_correction
    from training.data_settings import DataSettings

    with failures_shown():
        run_correction(DataSettings.model_validate(columns.settings(data)), corrections, out, console)
