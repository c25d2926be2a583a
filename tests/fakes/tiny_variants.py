"""A published classifier or encoder with several variants, which give the same answers and differ in speed and proof."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from export.bundle import MANIFEST, Bundle, entry
from export.golden import Golden, GoldenVariant
from export.manifest import ParityProof, Variant
from export.registry import Registry
from tests.fakes.slow_graph import slowed
from tests.fakes.tiny_bundle import publish_tiny, publish_tiny_embedding
from tests.fakes.tiny_words import LABELS


@dataclass(frozen=True, slots=True)
class Tiny:
    """A variant. `work` makes it slow, see `slow_graph`; `wrong` golden answers are others than it gives;
    `broken` files are no graphs."""

    name: str
    work: int = 0
    agreement: float = 1.0
    wrong: bool = False
    broken: bool = False
    device: str = "any"


def publish_variants(
    registry: Path,
    variants: Sequence[Tiny],
    *,
    name: str = "tiny",
    embedding: bool = False,
    token_lengths: dict[int, int] | None = None,
) -> Bundle:
    """Publishes a new version with these variants, in this order, and labels it stable."""
    with tempfile.TemporaryDirectory() as aside:
        publish = publish_tiny_embedding if embedding else publish_tiny
        made = publish(Path(aside) / "made", name)
        folder = Path(aside) / "bundle"
        shutil.copytree(made.path, folder)
        (folder / "fp32.onnx").unlink()
        graph = onnx.load(made.path / "fp32.onnx")
        golden = Golden.read(made.file(made.manifest.golden))
        first = made.manifest.variants[0]
        found, answers = [], {}
        for tiny in variants:
            path = folder / f"{tiny.name}.onnx"
            onnx.save(slowed(graph, tiny.work, len(LABELS)) if tiny.work and not embedding else graph, path)
            if tiny.broken:
                path.write_bytes(b"no graph")
            found.append(_variant(first, tiny, path))
            answers[tiny.name] = _answers(golden.variants["fp32"], tiny.wrong)
        file = folder / "golden.json"
        file.write_text(golden.model_copy(update={"variants": answers}).model_dump_json(), encoding="utf-8")
        scores = {name: {"accuracy": 1.0} for name in ("checkpoint", *answers)}
        facts = {"golden": entry(file), "token_lengths": token_lengths or {}, "metrics": scores}
        update = {"variants": found, **facts}
        manifest = made.manifest.model_copy(update=update)
        (folder / MANIFEST).write_text(manifest.model_dump_json(), encoding="utf-8")
        bundle = Registry(str(registry)).publish(folder)
    Registry(str(registry)).set_label(name, "stable", bundle.manifest.version)
    return bundle


def proof(agreement: float = 1.0, accuracy: float = 0.9, flips: float = 0.0) -> ParityProof:
    """One that passed."""
    return ParityProof(
        rows=1000,
        max_logit_difference=0.0,
        mean_logit_difference=0.0,
        agreement=agreement,
        reference_accuracy=0.9,
        accuracy=accuracy,
        flips_with_batch_mates=flips,
        shapes_checked=[],
        passed=True,
        reasons=[],
    )


def _variant(first: Variant, tiny: Tiny, path: Path) -> Variant:
    precision = "fp32" if tiny.name.startswith("fp32") else "int8"
    update = {
        "name": tiny.name,
        "file": entry(path),
        "precision": precision,
        "device": tiny.device,
        "parity": first.parity.model_copy(update={"agreement": tiny.agreement}),
    }
    return first.model_copy(update=update)


def _answers(right: GoldenVariant, wrong: bool) -> GoldenVariant:
    if not wrong:
        return right
    return GoldenVariant(tolerance=right.tolerance, logits=[(np.array(row) + 9.0).tolist() for row in right.logits])
