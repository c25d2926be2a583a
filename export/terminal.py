"""What the commands of `python -m export` share: the console, and how failures are shown."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Annotated

import typer

from export.failures import ExportFailure
from training import terminal
from training.terminal import console

__all__ = ["Name", "RegistryUrl", "console", "failures_shown"]

Name = Annotated[str, typer.Argument(help="Model name.")]
RegistryUrl = Annotated[str, typer.Option("--registry", help="Folder or fsspec URL (s3://bucket/models).")]


def failures_shown() -> AbstractContextManager[None]:
    """Failures of the export as well."""
    return terminal.failures_shown(ExportFailure)
