"""`python -m training inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from training.commands.data_options import DATA, LabelColumns
from training.commands.option_groups import with_option_groups
from training.terminal import console, failures_shown, quiet_libraries


@with_option_groups
def inspect(
    data: Annotated[str, typer.Argument(help=DATA)],
    out: Annotated[Path, typer.Option(help="Folder for report.json and report.html.")] = Path("build/inspect"),
    model: Annotated[str, typer.Option(help="Whose tokens to count.")] = "minilm",
    label_kind: Annotated[
        str, typer.Option(help="What the label column holds: class, number, relevance or entities.")
    ] = "class",
    *,
    columns: LabelColumns,
) -> None:
    """Report on a data set: counts, balance, token lengths, duplicates, conflicting labels, leaks, samples."""
    quiet_libraries()
    from training.data_summary import summarise, write_report
    from training.encoders import find_encoder
    from training.encoding import token_counter
    from training.model_making import load_tokenizer
    from training.preparation import prepare
    from training.progress import listener
    from training.settings_reading import data_settings

    with failures_shown():
        settings = data_settings(columns.settings(data, label_kind=label_kind))
        count_tokens = token_counter(load_tokenizer(find_encoder(model).location))
        with listener(console) as progress:
            report = prepare(settings, count_tokens, progress).report
        write_report(report, out)
        summarise(report, console)
        console.print(f"[bold]report[/] {out / 'report.html'}  {out / 'report.json'}")
