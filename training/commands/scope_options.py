"""Options of `python -m training fit` that tell texts which are none of the classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer


@dataclass(frozen=True)
class ScopeOptions:
    """Fields of `training.scope.settings.ScopeSettings` under their own names."""

    path: Annotated[
        str | None,
        typer.Option(
            "--out-of-scope",
            help="File of texts that are none of the classes: csv, tsv, jsonl, parquet or txt.",
            show_default=False,
        ),
    ] = None
    detector: Annotated[
        str | None,
        typer.Option(
            help="Tell texts out of scope: auto, max_softmax, energy, mahalanobis, combined or combined_with_outliers.",
            show_default="off, or auto with --out-of-scope",
        ),
    ] = None
    acceptance: Annotated[
        float | None,
        typer.Option(
            "--in-scope-acceptance", help="Share of validation rows that must stay in scope.", show_default="0.99"
        ),
    ] = None
    exposure: Annotated[
        bool | None,
        typer.Option("--outlier-exposure", help="Train on the texts out of scope, too.", show_default="off"),
    ] = None
