"""What is said of an encoder's bundle: its model card in Markdown, and its variants as a table."""

from __future__ import annotations

from rich.table import Table

from export.manifest import Manifest, Variant


def encoder_card(manifest: Manifest, pooling: str) -> str:
    """What the model is, how near the variants are to the checkpoint, how fast, and where that was measured."""
    rows = "\n".join(f"| {' | '.join(_cells(variant))} |" for variant in manifest.variants)
    libraries = ", ".join(f"{name} {version}" for name, version in sorted(manifest.versions.items()))
    sets = ", ".join(manifest.measured_on.instruction_sets) or "none recorded"
    proven = manifest.variants[0].parity
    return f"""# {manifest.name}, version {manifest.version}

A sentence encoder: one vector of {manifest.width} elements a text, for Embed and Score.

- Encoder: `{manifest.encoder}`, as it came; pooling ({pooling}) is inside the graph, normalisation is the server's.
- Reads at most {manifest.max_length} tokens.

## Variants

Compared with the PyTorch checkpoint on {proven.rows} texts. "Same neighbour": texts whose nearest neighbour among the others is
the checkpoint's.

| variant | size | texts/s | same neighbour | mean cosine | lowest cosine |
|---|---|---|---|---|---|
{rows}

Measured on {manifest.measured_on.processor} ({sets}), one thread, sorted batches of 8, tokenization not included.

## Limits

How near two vectors are says how alike the encoder finds two texts. It was not trained on your texts: try it on some whose
likeness you know.

## Origin

- Fingerprint of the texts: `{manifest.data_fingerprint}`
- Made {manifest.create_time} with {libraries}
"""


def variants_table(manifest: Manifest) -> Table:
    """For a terminal."""
    table = Table("variant", box=None, pad_edge=False)
    for name in ("size", "texts/s", "same neighbour", "mean cosine", "lowest cosine"):
        table.add_column(name, justify="right")
    for variant in manifest.variants:
        table.add_row(*_cells(variant))
    return table


def _cells(variant: Variant) -> tuple[str, ...]:
    parity = variant.parity
    return (
        variant.name,
        f"{variant.file.size_bytes / 1e6:.1f} MB",
        f"{variant.texts_per_second:.0f}" if variant.texts_per_second else "",
        f"{100 * parity.agreement:.1f} %",
        f"{parity.mean_cosine or 0.0:.4f}",
        f"{parity.min_cosine or 0.0:.4f}",
    )
