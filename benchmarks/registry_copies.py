"""Registries in temporary folders, made of published bundles: one variant by itself, or several as versions."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from export.bundle import MANIFEST, Bundle
from export.registry import Registry

LABEL = "stable"


def publish_copy(bundle: Bundle, variants: list[str], target: Registry) -> Bundle:
    """Publishes the bundle once more, with these variants alone, in this order; "stable" points at it.

    Files, hashes, proofs and golden answers stay what they are, and are checked again by whoever loads the copy.
    Raises KeyError for a variant that the bundle does not have.
    """
    known = {variant.name: variant for variant in bundle.manifest.variants}
    # no choice for a host stands before the order that is asked for
    manifest = bundle.manifest.model_copy(update={"variants": [known[name] for name in variants], "choices": []})
    with tempfile.TemporaryDirectory() as aside:
        folder = Path(aside)
        for entry in manifest.files():
            shutil.copyfile(bundle.file(entry), folder / entry.path)
        (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2), encoding="utf-8")
        copy = target.publish(folder)
    target.set_label(manifest.name, LABEL, copy.manifest.version)
    return copy


def servable(bundle: Bundle, device: str = "cpu") -> list[str]:
    """Names of the variants that a server may choose on the device, in the bundle's order."""
    return [variant.name for variant in bundle.manifest.variants if variant.device in {device, "any"}]
