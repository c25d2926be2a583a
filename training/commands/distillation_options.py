"""Options of distillation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer


@dataclass(frozen=True)
class DistillationOptions:
    """Fields of `training.distillation.settings.DistillationSettings` under their own names."""

    teachers: Annotated[
        list[str] | None,
        typer.Option(
            "--teacher", help="Folder of a finished run to learn from; several are averaged.", show_default=False
        ),
    ] = None
    layers: Annotated[
        int | None,
        typer.Option(help="Make the student of so many of the first teacher's layers.", show_default="own encoder"),
    ] = None
    unlabelled: Annotated[
        list[str] | None,
        typer.Option(help="A file of texts without labels, which the teachers answer.", show_default=False),
    ] = None
    weight: Annotated[
        float | None,
        typer.Option("--distillation-weight", help="Of the teachers against the labels, 0 to 1.", show_default="0.8"),
    ] = None
    temperature: Annotated[
        float | None,
        typer.Option("--distillation-temperature", help="Softens answers before they are compared.", show_default="2"),
    ] = None
    hidden_weight: Annotated[
        float | None,
        typer.Option(help="Of the distance to the first teacher's hidden states.", show_default="1 with --layers"),
    ] = None
