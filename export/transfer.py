"""Copies a version from one registry to another as it is: the same number, the same bytes, and so the same signatures. Pure."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from export.bundle import MANIFEST, open_bundle, read_signatures
from export.failures import ConflictingVersion, MalformedBundle
from export.registry import Registry, checked_identity
from export.signing import SIGNATURES, Signatures, TrustedKeys

Copied = Callable[[str], None]
"""Is told the name of each large file that was copied; what an interrupted copy had already is not among them."""


@dataclass(frozen=True, slots=True)
class Transferred:
    """What was done. `already`: the target had this very bundle, so that nothing but missing signatures was copied."""

    version: int
    already: bool


def transfer(
    name: str,
    version: int,
    source: Registry,
    target: Registry,
    trusted: TrustedKeys | None = None,
    copied: Copied = lambda _: None,
) -> Transferred:
    """Makes a version of `source` one of `target`, visible at once or not at all. Interrupted, it goes on where it was.

    Raises MalformedBundle for a bundle that is not intact, UntrustedBundle with `trusted`, and ConflictingVersion where the
    target has another bundle under this number.
    """
    content = source.content(name, version)
    if content is None:
        raise MalformedBundle(f"{source.path(name, version)}/{MANIFEST}: missing; publish the bundle again")
    if trusted is not None:
        trusted.require(content, source.content(name, version, SIGNATURES), source.path(name, version))
    if not _held(name, version, content, target):
        copy = _Copy(name, version, content, source, target, copied)
        if copy.done():
            return Transferred(version, already=False)
        if not _held(name, version, content, target):  # somebody was faster
            raise ConflictingVersion(
                f"{target.path(name, version)}: something without a manifest lies there; remove it"
            )
    _add_signatures(name, version, source, target)
    return Transferred(version, already=True)


def _held(name: str, version: int, content: bytes, target: Registry) -> bool:
    found = target.content(name, version)
    if found is not None and found != content:
        raise ConflictingVersion(
            f"{target.url} has another bundle as {name} version {version}, and versions never change: publish the model there "
            "anew, or copy it into another registry"
        )
    return found is not None


@dataclass(frozen=True, slots=True)
class _Copy:
    name: str
    version: int
    content: bytes
    source: Registry
    target: Registry
    copied: Copied

    @property
    def mark(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    def done(self) -> bool:
        """False where somebody else placed something there meanwhile."""
        if self.source.storage.local:
            return self._place(Path(self.source.path(self.name, self.version)))
        if not self.target.storage.local:
            with tempfile.TemporaryDirectory(prefix="bertline-transfer-") as folder:
                self._gather(Path(folder))
                return self._place(Path(folder))
        path = self.target.path(self.name, self.version)
        with self.target.storage.gathering(path, self.mark) as gathered:
            self._gather(gathered)
            return self.target.storage.settle(gathered, path)

    def _gather(self, folder: Path) -> None:
        """The manifest is written anew, the other files only where they are missing or cut off."""
        (folder / MANIFEST).write_bytes(self.content)
        path = self.source.path(self.name, self.version)
        try:
            open_bundle(folder)
        except MalformedBundle:
            manifest = self.source.manifest(self.name, self.version)
            self.source.storage.fetch(path, manifest.files(), folder, self.copied)
        signatures = self.source.content(self.name, self.version, SIGNATURES)
        if signatures is not None:
            (folder / SIGNATURES).write_bytes(signatures)
        checked_identity(open_bundle(folder), self.name, self.version)

    def _place(self, folder: Path) -> bool:
        bundle = checked_identity(open_bundle(folder), self.name, self.version)
        others = [MANIFEST] if read_signatures(folder) is None else [SIGNATURES, MANIFEST]
        path = self.target.path(self.name, self.version)
        files = bundle.manifest.files()
        return self.target.storage.place_resumably(folder, files, others, path, self.mark, self.copied)


def _add_signatures(name: str, version: int, source: Registry, target: Registry) -> None:
    content = source.content(name, version, SIGNATURES)
    if content is not None and content != target.content(name, version, SIGNATURES):
        target.add_signatures(name, version, Signatures.model_validate_json(content))
