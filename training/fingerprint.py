"""Whether a step must be done again: a hash over its input, its settings and its code."""

from __future__ import annotations

import hashlib
from pathlib import Path


def source_fingerprint(package: Path, suffixes: tuple[str, ...] = (".py",), without: tuple[str, ...] = ()) -> str:
    """SHA-256 over the source files below a package folder, names included; folders and files named in `without` are left out."""
    digest = hashlib.sha256()
    left_out = {"__pycache__", *without}
    for path in sorted(
        path
        for path in package.rglob("*")
        if path.suffix in suffixes and left_out.isdisjoint(path.relative_to(package).parts)
    ):
        digest.update(str(path.relative_to(package)).encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def files_fingerprint(paths: list[Path]) -> str:
    """SHA-256 over the contents of files, or of the files directly in a folder; names that are no path count as text."""
    digest = hashlib.sha256()
    for path in paths:
        files = sorted(child for child in path.iterdir() if child.is_file()) if path.is_dir() else [path]
        for file in files:
            content = hashlib.sha256(file.read_bytes()).digest() if file.is_file() else str(file).encode()
            digest.update(file.name.encode() + b"\0" + content)
    return digest.hexdigest()


def combined(*parts: str) -> str:
    """One fingerprint of several."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
