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
    methods: Annotated[str, typer.Option(help="Which ones, comma-separated.")] = "full,lora,bitfit,frozen",
) -> None:
    """Train with each method in turn, then say what each costs and gives. All other options go to `fit`."""
    from training.failures import InvalidSettings
    from training.method_comparison import METHODS, measure, table

    with failures_shown():
        wanted = [each for each in METHODS if each in methods.split(",")]
        if unknown := set(methods.split(",")) - set(METHODS):
            raise InvalidSettings(f"there is no method {', '.join(sorted(unknown))}; there are {', '.join(METHODS)}")
        measured = [measure(method, name, out, context.args) for method in wanted]
        console.print(table(measured))
