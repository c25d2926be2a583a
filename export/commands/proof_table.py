"""The proof of each variant as a table for the terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.table import Column, Table

from export.proof_wording import calibration, compared, drift, points_lost, small
from export.terminal import console

if TYPE_CHECKING:
    from export.manifest import Manifest
    from export.proof import ParityProof

COLUMNS: dict[str, Callable[[ParityProof], str]] = {
    "points lost (95 %)": points_lost,
    "off by": lambda proof: small(proof.max_logit_difference),
    "mean": lambda proof: small(proof.mean_logit_difference),
    "calibration": calibration,
    "in batches": drift,
    "hidden": lambda proof: "" if proof.leak is None else f"{100 * proof.leak:.2g} %",
}

MEANING = (
    "Off by, mean: outputs beside the checkpoint's. Calibration: the checkpoint's expected error, and the variant's. In batches, "
    "hidden: how far an output moves with batch mates, and, of the outputs' spread, by tokens that the mask hides."
)


def show_proof(manifest: Manifest) -> None:
    """Prints what was compared and how it came out, without columns that are empty; nothing of a manifest of before."""
    proofs = {variant.name: variant.parity for variant in manifest.variants}
    if not any(proof.arrangements for proof in proofs.values()):
        return
    shown = {title: [of(proof) for proof in proofs.values()] for title, of in COLUMNS.items()}
    shown = {title: cells for title, cells in shown.items() if any(cells)}
    table = Table(Column("proof", no_wrap=True), box=None, pad_edge=False)
    for title in shown:
        table.add_column(title, justify="right", no_wrap=True)
    for position, name in enumerate(proofs):
        table.add_row(name, *(cells[position] for cells in shown.values()))
    console.print()
    console.print(table)
    console.print(f"{compared(manifest.variants[0].parity)} {MEANING}", highlight=False)
