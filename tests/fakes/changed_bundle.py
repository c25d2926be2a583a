"""A published bundle once more, with other words in its manifest."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from export.bundle import MANIFEST, Bundle
from export.manifest import Manifest
from export.registry import Registry
from export.signing import SigningKey


def changed(bundle: Bundle, registry: Registry, key: SigningKey | None = None, **fields: Any) -> Bundle:
    """Publishes a copy of it as the next version, with these fields of the manifest in place of its own."""
    with tempfile.TemporaryDirectory() as aside:
        folder = Path(aside) / "bundle"
        shutil.copytree(bundle.path, folder)
        manifest = Manifest.model_validate({**bundle.manifest.model_dump(), **fields})
        (folder / MANIFEST).write_text(manifest.model_dump_json(), encoding="utf-8")
        return registry.publish(folder, key)
