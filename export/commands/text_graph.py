"""`python -m export text-graph`: a model as one ONNX file, for clients without a tokenizer."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from export.terminal import Name, RegistryUrl, console, failures_shown


class Inputs(StrEnum):
    """What the file reads."""

    TEXT = "text"
    TOKENS = "tokens"


def text_graph(
    name: Name,
    out: Annotated[Path, typer.Option(help="The file to write.")],
    registry: RegistryUrl = "models",
    version: Annotated[
        int | None, typer.Option(help="Default: the version labelled stable.", show_default=False)
    ] = None,
    variant: Annotated[
        str | None, typer.Option(help="Variant of the bundle; by default the fastest for CPUs.", show_default=False)
    ] = None,
    inputs: Annotated[
        Inputs, typer.Option(help="text: the tokenizer is inside. tokens: token ids in, results out.")
    ] = Inputs.TEXT,
    texts: Annotated[
        str | None,
        typer.Option(
            help="A csv, tsv, jsonl or parquet file of texts that must be read alike, too.", show_default=False
        ),
    ] = None,
    column: Annotated[
        str | None, typer.Option("--text", help="Column of the text; by default found by its name.", show_default=False)
    ] = None,
) -> None:
    """Write a model as one ONNX file from texts to results: tokenizer, model and calibration are inside.

    It is written only when thousands of texts get the same token ids inside as from the bundle's tokenizer.
    """
    from export.registry import Registry
    from export.text_graph.writing import write_text_graph

    source = Registry(registry)
    with failures_shown():
        bundle = source.open(name, source.resolve(name, version))
        given = _texts(texts, column)
        written = write_text_graph(bundle, out, variant, given, inputs.value)
        proof = written.proof
        if proof.texts:
            console.print(f"[green]read alike[/] {proof.texts} of {proof.texts} texts")
        console.print(f"[green]answered alike[/] {written.variant.name}: results within {proof.largest:.1g}")
        size = out.stat().st_size / 1e6
        console.print(
            f"[bold]written[/] {out}: {', '.join(written.inputs)} to {', '.join(written.outputs)}, {size:.1f} MB",
            highlight=False,
        )


def _texts(file: str | None, column: str | None) -> list[str]:
    if file is None:
        return []
    from export.encoder_texts import read_texts

    return read_texts(file, column)
