"""Where the rows are: options of every command that reads labelled data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from training.commands.option_groups import given

DATA = "csv, tsv, jsonl or parquet file, folder of splits, or hub data set id; with entities also conll or bio."
Column = Annotated[
    str | None, typer.Option(help="Column name; found by itself when it has a usual name.", show_default=False)
]
Extra = Annotated[Path | None, typer.Option(help="A file of its own for this split.", show_default=False)]
Threads = Annotated[int | None, typer.Option(help="CPU threads for torch.", show_default="all")]


@dataclass(frozen=True)
class Columns:
    """Which columns and files hold what; with one label a text."""

    text: Column = None
    text_pair: Column = None
    label: Column = None
    split: Column = None
    encoding: Annotated[
        str | None, typer.Option(help="Encoding of text files; found by itself.", show_default=False)
    ] = None
    validation: Extra = None
    test: Extra = None
    drop_rare_classes: Annotated[
        bool, typer.Option("--drop-rare-classes", help="Leave out classes with fewer than 3 rows.")
    ] = False

    def settings(self, path: str | None, **more: object) -> dict[str, Any]:
        """Those that were given, under the names of `training.data_settings.DataSettings`, with `path` and `more`."""
        values = {**given(self), "path": path, **more}
        for split in ("validation", "test"):
            if split in values:
                values[f"{split}_path"] = str(values.pop(split))
        return {name: value for name, value in values.items() if value is not None and value is not False}


@dataclass(frozen=True)
class LabelColumns(Columns):
    """The same where texts can have several labels."""

    label_separator: Annotated[
        str | None,
        typer.Option(
            help="Between the labels of one text in the label column.", show_default="| for several labels a text"
        ),
    ] = None
    relation: Annotated[
        str | None,
        typer.Option(
            help="Task embedding: pair (texts of a row belong together), score (a number says how near they are), label "
            "(texts of one label do).",
            show_default="the columns say",
        ),
    ] = None
    negative: Annotated[
        str | None,
        typer.Option(help="Task embedding: column of a text that does not belong with the first.", show_default=False),
    ] = None
