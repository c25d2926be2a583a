"""What people read of a proof."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rich.console import Console

from export.bundle import Bundle
from export.commands import proof_table, variants_table
from export.commands.variants_table import show_variants
from export.manifest import Manifest
from export.proof import Arrangement, CalibrationShift, ParityProof
from export.proof_wording import calibration, compared, points_lost
from tests.fakes.tiny_bundle import publish_tiny

PROOF = ParityProof(
    rows=12_345,
    max_logit_difference=1.234,
    mean_logit_difference=0.1234,
    agreement=0.985,
    reference_accuracy=0.93,
    accuracy=0.9312,
    drop_interval=(-0.701, 0.4999),
    arrangements=[
        Arrangement(batch=batch, order="by length", rows=1000, flips=0.0, max_logit_drift=0.0123 * batch)
        for batch in (4, 16)
    ],
    flips_with_batch_mates=0.0,
    leak=0.0,
    calibration=CalibrationShift(checkpoint=0.0191, variant=0.0224),
    shapes_checked=["left padding", "length 512"],
    passed=True,
    reasons=[],
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return publish_tiny(tmp_path_factory.mktemp("registry"))


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Console]:
    """100 columns wide."""
    console = Console(width=100, record=True, quiet=False)
    for module in (proof_table, variants_table):
        monkeypatch.setattr(module, "console", console)
    return console


def with_proof(manifest: Manifest, proof: ParityProof, name: str) -> Manifest:
    variant = manifest.variants[0].model_copy(update={"name": name, "parity": proof})
    metrics = {**manifest.metrics, name: manifest.metrics["checkpoint"]}
    return manifest.model_copy(update={"variants": [variant], "metrics": metrics})


def test_a_proof_is_readable_at_100_columns(bundle: Bundle, terminal: Console) -> None:
    show_variants(with_proof(bundle.manifest, PROOF, "int8-static-mixed-sq"))
    lines = terminal.export_text().splitlines()
    assert max(map(len, lines)) <= 100
    row = next(line for line in lines if "(-0.70" in line)
    assert row.split() == [
        "int8-static-mixed-sq", "-0.12", "(-0.70", "to", "0.50)", "1.2", "0.12", "1.9", "to", "2.2", "%", "0.2", "0", "%",
    ]  # fmt: skip
    assert "12,345 rows alone, on 1,000 of them in batches of 4 and 16" in " ".join(lines)


def test_of_a_manifest_of_before_the_proof_is_not_shown(bundle: Bundle, terminal: Console) -> None:
    show_variants(with_proof(bundle.manifest, bundle.manifest.variants[0].parity, "fp32"))
    text = terminal.export_text()
    assert "fp32" in text
    assert "in batches" not in text


def test_what_was_not_measured_is_empty() -> None:
    bare = PROOF.model_copy(update={"accuracy": None, "reference_accuracy": None, "calibration": None})
    assert (points_lost(bare), calibration(bare)) == ("", "")
    assert points_lost(PROOF.model_copy(update={"drop_interval": None})) == "-0.12"
    assert (
        points_lost(PROOF.model_copy(update={"accuracy": 0.93, "drop_interval": (0.0, -0.0)})) == "0.00 (0.00 to 0.00)"
    )
    assert compared(PROOF.model_copy(update={"arrangements": []})) == (
        "Compared on 12,345 rows alone, and over left padding, length 512."
    )


def test_the_sentence_says_how_many_rows_were_computed_in_company() -> None:
    assert compared(PROOF) == (
        "Compared on 12,345 rows alone, on 1,000 of them in batches of 4 and 16, by length and shuffled, and over left "
        "padding, length 512."
    )
