"""What the commands of `python -m export` share: the console, and how failures are shown."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from export.failures import ExportFailure

console = Console(soft_wrap=True, width=None if sys.stdout.isatty() else 140)

RegistryUrl = Annotated[str, typer.Option("--registry", help="Folder or fsspec URL (s3://bucket/models).")]


class failures_shown:  # noqa: N801 - reads as a statement: `with failures_shown():`
    """Prints a failure that the user can mend as a message, not as a traceback, and exits with 2."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, ExportFailure):
            console.print(f"[red]error[/] {escape(str(error))}", soft_wrap=True)
            raise typer.Exit(2) from None
