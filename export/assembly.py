"""A bundle folder of the variants that passed, ready to be published."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from export.bill_of_materials import BILL, bill_of_materials
from export.bundle import MANIFEST, entry
from export.failures import ParityNotProven
from export.golden import Golden, GoldenVariant, tolerance
from export.host import describe_host
from export.licences import licence_section
from export.manifest import Licences, Manifest
from export.rows import Row
from export.tuning.at_export import Traffic
from export.variants import Candidate

LIBRARIES = ("torch", "transformers", "optimum", "optimum-onnx", "onnx", "onnxruntime-gpu", "onnxruntime", "tokenizers")

Describe = Callable[[Sequence[Candidate], dict[str, Any]], Manifest]
"""The manifest of the variants that passed; what every manifest says is given."""


def assemble(
    name: str,
    candidates: Sequence[Candidate],
    tokenizer: Path,
    rows: Sequence[Row],
    describe: Describe,
    card: Callable[[Manifest], str],
    traffic: Traffic,
    folder: Path,
    licences: Licences,
) -> Path:
    """Makes `folder`: variants fastest first, tokenizer, golden answers to `rows`, model card, bill of materials, manifest.

    Variants are compared for `traffic`, and the manifest says which one is the best on hosts like this one.

    Raises ParityNotProven if no variant passed.
    """
    passed = _passed(name, candidates)
    folder.mkdir()
    for candidate in passed:
        shutil.copy(candidate.path, folder)
    shutil.copy(tokenizer, folder)
    readme, bill = folder / "README.md", folder / BILL
    # both are made of the manifest, which names them
    readme.touch()
    bill.touch()
    (folder / "golden.json").write_text(_golden(passed, rows).model_dump_json() + "\n", encoding="utf-8")
    manifest = describe(passed, _common(folder, passed) | {"licences": licences} | traffic.facts(passed))
    readme.write_text(card(manifest) + licence_section(manifest), encoding="utf-8")
    bill.write_text(bill_of_materials(manifest), encoding="utf-8")
    manifest = manifest.model_copy(update={"model_card": entry(readme), "sbom": entry(bill)})
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return folder


def _passed(name: str, candidates: Sequence[Candidate]) -> list[Candidate]:
    passed = [candidate for candidate in candidates if candidate.passed]
    if not passed:
        why = "; ".join(f"{each.variant.name}: {', '.join(each.variant.parity.reasons)}" for each in candidates)
        raise ParityNotProven(f"no variant of {name} is as good as the checkpoint: {why}")
    return sorted(passed, key=lambda candidate: -(candidate.variant.texts_per_second or 0))


def _golden(passed: Sequence[Candidate], rows: Sequence[Row]) -> Golden:
    variants = {
        each.variant.name: GoldenVariant(
            tolerance=tolerance(each.variant.precision, np.concatenate([row.ravel() for row in each.golden])),
            logits=[row.ravel().tolist() for row in each.golden],
        )
        for each in passed
    }
    return Golden(input_ids=[row.ids for row in rows], token_type_ids=[row.types for row in rows], variants=variants)


def _common(folder: Path, passed: Sequence[Candidate]) -> dict[str, Any]:
    return {
        "version": 1,
        "tokenizer": entry(folder / "tokenizer.json"),
        "golden": entry(folder / "golden.json"),
        "model_card": entry(folder / "README.md"),
        "sbom": entry(folder / BILL),
        "variants": [each.variant for each in passed],
        "measured_on": describe_host(),
        "versions": library_versions(),
        "create_time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def library_versions() -> dict[str, str]:
    """Versions of the libraries that made the bundle."""
    found = {}
    for name in LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
