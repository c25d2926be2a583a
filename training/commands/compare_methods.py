"""`python -m training compare-methods`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from training.terminal import console, failures_shown


def compare_methods(
    context: typer.Context,
    name: Annotated[str, typer.Option(help="The runs are called NAME-METHOD.")],
    out: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs"),
    methods: Annotated[str | None, typer.Option(help="Which ones, comma-separated.", show_default="all")] = None,
) -> None:
    """Train with each method in turn, then say what each costs and gives. All other options go to `fit`."""
    from training.method_comparison import MethodFailed, chosen, measure, table

    with failures_shown():
        measured, failed = [], []
        for method in chosen(methods):
            try:
                measured.append(measure(method, name, out, context.args))
            except MethodFailed as failure:
                failed.append(str(failure))
        if measured:
            console.print(table(measured))
        if failed:
            raise MethodFailed("; ".join(failed))
