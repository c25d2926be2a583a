"""What is said of an encoder's bundle: its model card in Markdown, and its variants as a table."""

from __future__ import annotations

from rich.table import Table

from export.manifest import Manifest, Variant
from export.proof_wording import compared, points_lost
from export.terms import terms_of
from training.headlines import as_shown, headline, shown


def encoder_card(manifest: Manifest, pooling: str) -> str:
    """What the model is, how near the variants are to the checkpoint, how fast, and where that was measured.

    The bundle has no version yet.
    """
    trained = bool(manifest.metrics)
    lost = (lambda variant: (points_lost(variant.parity),)) if trained else (lambda variant: ())
    rows = "\n".join(f"| {' | '.join((*_cells(variant), *lost(variant)))} |" for variant in manifest.variants)
    title, line = (" points lost (95 %) |", "---|") if trained else ("", "")
    libraries = ", ".join(f"{name} {version}" for name, version in sorted(manifest.versions.items()))
    sets = ", ".join(manifest.measured_on.instruction_sets) or "none recorded"
    proven = manifest.variants[0].parity
    origin, held_out = ("fine-tuned", " of the validation rows") if manifest.metrics else ("as it came", "")
    return f"""# {manifest.name}

A sentence encoder: one vector of {manifest.width} elements a text.

## Intended use

For Embed and Score: search, ranking and grouping of texts by what they mean. Let no decision about a person rest on it alone.

- Encoder: `{manifest.encoder}`, {origin}; pooling ({pooling}) is inside the graph, normalisation is the server's.
- Reads at most {manifest.max_length} tokens.
{_scores(manifest)}
## Variants

Compared with the PyTorch checkpoint on {proven.rows} texts{held_out}. "Same neighbour": texts whose nearest
neighbour among the others is the checkpoint's.

| variant | size | texts/s | same neighbour | mean cosine | lowest cosine |{title}
|---|---|---|---|---|---|{line}
{rows}

{compared(proven)}
Speed was measured on {manifest.measured_on.processor} ({sets}), one thread, sorted batches of 8, tokenization not included.

## Limits

How near two vectors are says how alike the encoder finds two texts. {_limit(manifest)}

## Origin

- Fingerprint of the texts: `{manifest.data_fingerprint}`
- Made {manifest.create_time} with {libraries}
"""


def _scores(manifest: Manifest) -> str:
    """Of the checkpoint; one that came as it is has none."""
    if not manifest.metrics:
        return ""
    scores = manifest.metrics["checkpoint"]
    titles = shown(manifest.task, scores)
    return f"- Test split: {', '.join(f'{title} {scores[name]:.3f}' for name, title in titles.items())}.\n"


def _limit(manifest: Manifest) -> str:
    if manifest.metrics:
        return "Scores hold for texts like the training\nrows, and retrieval gets harder the more candidates there are."
    return "It was not trained on your texts: try it on some whose\nlikeness you know."


def variants_table(manifest: Manifest) -> Table:
    """For a terminal."""
    table = Table("variant", box=None, pad_edge=False)
    scores = manifest.metrics
    tested = headline(manifest.task, scores["checkpoint"]) if scores else None
    titles = [] if tested is None else [f"test {tested[1]}"]
    for name in ("size", "texts/s", terms_of(manifest.task).agreement, "mean cosine", "lowest cosine", *titles):
        table.add_column(name, justify="right")

    def score(name: str) -> list[str]:
        return [] if tested is None else [as_shown(tested[0], scores[name][tested[0]])]

    if tested is not None:
        table.add_row("PyTorch checkpoint", *[""] * 5, *score("checkpoint"))
    for variant in manifest.variants:
        table.add_row(*_cells(variant), *score(variant.name))
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
