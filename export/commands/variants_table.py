"""The variants of a bundle beside the checkpoint, as a table for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from export.commands.proof_table import show_proof
from export.terminal import console
from export.terms import terms_of
from training.headlines import as_shown, headline

if TYPE_CHECKING:
    from export.manifest import Manifest


def show_variants(manifest: Manifest) -> None:
    """Prints it, and the proof of each."""
    if manifest.task == "embedding":
        from export.encoder_card import variants_table

        console.print(variants_table(manifest))
        show_proof(manifest)
        return
    table = Table("variant", box=None, pad_edge=False)
    key, title = headline(manifest.task)
    terms = terms_of(manifest.task)
    for name in ("size", "texts/s", terms.agreement, f"validation {title}", f"test {title}", terms.drift):
        table.add_column(name, justify="right")
    checkpoint = manifest.metrics["checkpoint"][key]
    reference = manifest.variants[0].parity.reference_accuracy or 0.0
    table.add_row("PyTorch checkpoint", "", "", "", as_shown(key, reference), as_shown(key, checkpoint), "")
    for variant in manifest.variants:
        parity = variant.parity
        table.add_row(
            variant.name,
            f"{variant.file.size_bytes / 1e6:.1f} MB",
            f"{variant.texts_per_second:.0f}" if variant.texts_per_second else "",
            as_shown(terms.agreement_metric, parity.agreement),
            as_shown(key, parity.accuracy or 0.0),
            as_shown(key, manifest.metrics[variant.name][key]),
            f"{100 * parity.flips_with_batch_mates:.2f} %",
        )
    console.print(table)
    show_proof(manifest)
