"""A proof in words: for the terminal, the model card and the report. Pure: no torch."""

from __future__ import annotations

from export.proof import ParityProof


def points_lost(proof: ParityProof) -> str:
    """Points of the task's score that a variant loses, and their 95 % interval; empty where nothing says what is right."""
    if proof.accuracy is None or proof.reference_accuracy is None:
        return ""
    if proof.drop_interval is None:
        return f"{_signed(proof.drop)}"
    low, high = proof.drop_interval
    return f"{_signed(proof.drop)} ({_signed(low)} to {_signed(high)})"


def calibration(proof: ParityProof) -> str:
    """The calibration error of the checkpoint and of the variant; empty where nothing is a probability."""
    found = proof.calibration
    return "" if found is None else f"{100 * found.checkpoint:.1f} to {100 * found.variant:.1f} %"


def drift(proof: ParityProof) -> str:
    """How far an output moves in the company that moves it most; empty in manifests of before."""
    moved = [each.max_logit_drift for each in proof.arrangements]
    return small(max(moved)) if moved else ""


def small(value: float) -> str:
    """Two digits that count, or 0."""
    return f"{value:.2g}" if value else "0"


def compared(proof: ParityProof) -> str:
    """What the figures rest on, as one sentence."""
    said = f"Compared on {proof.rows:,} rows alone"
    if proof.arrangements:
        batches = " and ".join(map(str, sorted({each.batch for each in proof.arrangements})))
        said += f", on {proof.arrangements[0].rows:,} of them in batches of {batches}, by length and shuffled"
    return f"{said}, and over {', '.join(proof.shapes_checked)}."


def _signed(value: float) -> str:
    """Two decimals, and no minus before a zero."""
    return f"{round(value, 2) + 0.0:.2f}"
