"""A bundle on disk: its manifest, parsed, and every file checked against it. Pure: no torch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from export.failures import MalformedBundle
from export.manifest import FileEntry, Manifest
from export.signing import SIGNATURES, TrustedKeys

MANIFEST = "manifest.json"
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle."""

    path: Path
    manifest: Manifest

    def file(self, entry: FileEntry) -> Path:
        """Where a file of the manifest lies."""
        return self.path / entry.path


def open_bundle(path: Path, trusted: TrustedKeys | None = None) -> Bundle:
    """Parses the manifest and checks presence, size and SHA-256 of every file. Raises MalformedBundle naming the file.

    With `trusted`, one of these keys must have signed the manifest, or UntrustedBundle is raised before it is parsed.
    """
    file = path / MANIFEST
    try:
        content = file.read_bytes()
    except OSError as error:
        raise MalformedBundle(f"{file}: cannot be read ({error}); publish the bundle again") from None
    if trusted is not None:
        trusted.require(content, read_signatures(path), str(path))
    manifest = parse_manifest(content, str(file))
    for entry in manifest.files():
        check_file(path, entry)
    return Bundle(path, manifest)


def read_signatures(path: Path) -> bytes | None:
    """Content of a bundle's manifest.sig; None where it is not signed."""
    try:
        return (path / SIGNATURES).read_bytes()
    except FileNotFoundError:
        return None


def parse_manifest(text: str | bytes, source: str) -> Manifest:
    """Raises MalformedBundle naming `source` and the first wrong field."""
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole file"
        raise MalformedBundle(f"{source}: {where}: {first['msg']}; publish the bundle again") from None


def check_file(path: Path, entry: FileEntry) -> None:
    """Raises MalformedBundle when the file is not the one that was published."""
    file = path / entry.path
    if not file.is_file():
        raise MalformedBundle(f"{file}: missing; publish the bundle again")
    size = file.stat().st_size
    if size != entry.size_bytes:
        raise MalformedBundle(
            f"{file}: {size} bytes instead of {entry.size_bytes}, cut off or changed; publish it again"
        )
    if sha256(file) != entry.sha256:
        raise MalformedBundle(f"{file}: its SHA-256 is not that of the manifest, it was changed; publish it again")


def sha256(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def entry(file: Path) -> FileEntry:
    """The manifest's entry of a file."""
    return FileEntry(path=file.name, sha256=sha256(file), size_bytes=file.stat().st_size)
