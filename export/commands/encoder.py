"""`python -m export encoder`: a sentence encoder becomes a proven bundle."""

from __future__ import annotations

from typing import Annotated

import typer

from export.commands.keys import SignWith, read_key
from export.commands.variants_table import show_variants
from export.terminal import RegistryUrl, console, failures_shown
from training.terminal import quiet_libraries


def encoder(
    name: Annotated[str, typer.Option(help="Name of the model in the registry.")],
    model: Annotated[str, typer.Option(help="The packaged `minilm`, a hub id, or a folder.")] = "minilm",
    registry: RegistryUrl = "models",
    label: Annotated[
        str | None, typer.Option(help="Label to point at the new version, such as stable or canary.")
    ] = None,
    texts: Annotated[
        str,
        typer.Option(help="A csv, tsv, jsonl or parquet file of texts like those to come; they prove the variants."),
    ] = "examples/news/news.csv",
    column: Annotated[
        str | None, typer.Option("--text", help="Column of the text; by default found by its name.", show_default=False)
    ] = None,
    pooling: Annotated[
        str | None, typer.Option(help="mean, cls or last; by default as the encoder was trained.", show_default=False)
    ] = None,
    max_length: Annotated[
        int | None, typer.Option(help="Tokens it reads; by default as the encoder says, or 256.", show_default=False)
    ] = None,
    quantize: Annotated[bool, typer.Option(help="Try int8 variants; float32 is always made.")] = True,
    min_cosine: Annotated[float, typer.Option(help="Mean cosine of int8 vectors with the checkpoint's.")] = 0.99,
    min_agreement: Annotated[float, typer.Option(help="Share of texts with the same nearest neighbour.")] = 0.9,
    sign_with: SignWith = None,
    force: Annotated[bool, typer.Option("--force", help="Export again although nothing changed.")] = False,
) -> None:
    """Export a sentence encoder for Embed and Score: one vector a text. Nothing is trained."""
    quiet_libraries()
    from export.encoder import EncoderSettings, export_encoder
    from export.registry import Registry
    from training.progress import listener

    target = Registry(registry)
    with failures_shown():
        key = read_key(sign_with)
        settings = EncoderSettings.of(
            name, model, texts, column, pooling, max_length, quantize, min_cosine, min_agreement
        )
        with listener(console) as progress:
            manifest, refused = export_encoder(settings, target, progress, force, key)
        if refused is None:
            if key is not None:
                target.sign(name, manifest.version, key)
            console.print(f"[green]reused[/] {name} version {manifest.version}: encoder, texts and code did not change")
        show_variants(manifest)
        for variant in refused or []:
            console.print(f"[yellow]refused[/] {variant.name}: {'; '.join(variant.parity.reasons)}")
        if label is not None:
            target.set_label(name, label, manifest.version)
        console.print(f"[bold]published[/] {name} version {manifest.version} in {registry}")
