"""What every command shares: the console, how failures are shown, and silence of the libraries."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.markup import escape

from training.failures import TrainingFailure

console = Console(soft_wrap=True, width=None if sys.stdout.isatty() else 140)


@contextmanager
def failures_shown(*kinds: type[Exception]) -> Iterator[None]:
    """Prints a failure that the user can mend as a message, not as a traceback, and exits with 2.

    `kinds` are those of another program that uses this one; training's own are always among them.
    """
    shown: tuple[type[Exception], ...] = (TrainingFailure, *kinds)
    try:
        yield
    except shown as error:
        console.print(f"[red]error[/] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(2) from None


def quiet_libraries() -> None:
    """Keeps the libraries' chatter out of our output; to be called before they are imported."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    logging.getLogger("transformers").setLevel(logging.ERROR)
