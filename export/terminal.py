"""What the commands of `python -m export` share: the console, and how failures are shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from export.failures import ExportFailure
from training import terminal
from training.terminal import console

__all__ = ["Name", "RegistryUrl", "console", "failures_shown"]

Name = Annotated[str, typer.Argument(help="Model name.")]
RegistryUrl = Annotated[str, typer.Option("--registry", help="Folder or fsspec URL (s3://bucket/models).")]


STORES = {"botocore", "aiobotocore", "aiohttp"}
"""Packages whose errors come from an object store or the way there; each kind of store has errors of its own."""


@contextmanager
def failures_shown() -> Iterator[None]:
    """Failures of the export as well, and of an object store."""
    with terminal.failures_shown(ExportFailure):
        try:
            yield
        except Exception as error:
            if not of_a_store(error):
                raise
            raise ExportFailure(f"the object store does not answer as it should: {str(error) or repr(error)}") from None


def of_a_store(error: Exception) -> bool:
    """Whether a store or the network fails, and not this program."""
    return type(error).__module__.partition(".")[0] in STORES
