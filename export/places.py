"""How a user names a bundle: `news` (its stable version), `news@3`, `news@canary`, or the path of a bundle's folder."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from export.bundle import MANIFEST
from export.failures import UnknownModel
from export.manifest import NAME_PATTERN
from export.registry import Registry


@dataclass(frozen=True, slots=True)
class Place:
    """A bundle's folder, whose content nobody has checked."""

    folder: Path
    title: str
    """For people: name and version, or the path."""
    identity: tuple[str, int] | None
    """Name and version that its manifest must state; None of a folder anywhere."""


@contextmanager
def placed(reference: str, registry: Registry, version: int | None = None) -> Iterator[Place]:
    """The bundle that is meant; one of an object store is copied for as long as the block takes.

    What is no model's name, or ends in the name of a folder with a manifest, is a path: write ./news for a folder called news.
    Raises UnknownModel that says what there is.
    """
    name, mark, wanted = reference.partition("@")
    path = Path(reference)
    if not re.match(NAME_PATTERN, name) or (not mark and (path / MANIFEST).is_file()):
        if not path.is_dir():
            raise UnknownModel(f"{reference} is neither a model's name nor a folder")
        yield Place(path, str(path), None)
        return
    number = int(wanted) if wanted.isascii() and wanted.isdigit() else version
    found = registry.resolve(name, number, wanted if mark and number is None else None)
    title = f"{name} version {found}"
    if registry.storage.local:
        yield Place(Path(registry.path(name, found)), title, (name, found))
        return
    with tempfile.TemporaryDirectory(prefix="bertline-bundle-") as folder:
        registry.storage.copy(registry.path(name, found), Path(folder))
        yield Place(Path(folder), title, (name, found))
