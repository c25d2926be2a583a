"""Everything that is wrong with a bundle's folder, not only the first fault."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from export.bundle import MANIFEST, Bundle, check_file, parse_manifest, read_signatures
from export.failures import MalformedBundle, UntrustedBundle
from export.golden_check import golden_faults
from export.manifest import Manifest
from export.places import Place
from export.signing import SIGNATURES, TrustedKeys


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: a file, the signature, a variant. `fault` None: it holds."""

    subject: str
    fault: str | None = None
    note: str = ""
    """What else is known of a thing that holds."""


def inspected(place: Place, trusted: TrustedKeys | None) -> list[Finding]:
    """Manifest, signature, each file, files that the manifest does not know, and the golden answers of each intact variant.

    Without `trusted`, signatures are not looked at. Raises BadKey.
    """
    folder = place.folder
    try:
        content = (folder / MANIFEST).read_bytes()
        manifest = parse_manifest(content, str(folder / MANIFEST))
    except OSError as error:
        return [Finding(MANIFEST, f"cannot be read: {error.strerror}")]
    except MalformedBundle as error:
        return [Finding(MANIFEST, str(error))]
    found = [_identity(manifest, place)]
    if trusted is not None:
        found.append(_signature(folder, content, trusted))
    files = [_file(folder, manifest, path) for path in dict.fromkeys(entry.path for entry in manifest.files())]
    broken = {each.subject for each in files if each.fault is not None}
    return [*found, *files, *_strangers(folder, manifest), *_answers(folder, manifest, broken)]


def _identity(manifest: Manifest, place: Place) -> Finding:
    stated = (manifest.name, manifest.version)
    if place.identity is not None and place.identity != stated:
        return Finding(MANIFEST, f"says {stated[0]} version {stated[1]}; a bundle must not be moved by hand")
    return Finding(MANIFEST, note=f"{stated[0]} version {stated[1]}")


def _signature(folder: Path, content: bytes, trusted: TrustedKeys) -> Finding:
    try:
        return Finding(SIGNATURES, note=f"by {trusted.require(content, read_signatures(folder), str(folder))}")
    except UntrustedBundle as error:
        return Finding(SIGNATURES, str(error))


def _file(folder: Path, manifest: Manifest, path: str) -> Finding:
    for entry in manifest.files():
        if entry.path == path:
            try:
                check_file(folder, entry)
            except MalformedBundle as error:
                return Finding(path, str(error))
    return Finding(path)


def _strangers(folder: Path, manifest: Manifest) -> Iterator[Finding]:
    known = {MANIFEST, SIGNATURES, *(entry.path for entry in manifest.files())}
    for path in sorted(folder.iterdir()):
        if path.name not in known:
            yield Finding(path.name, "the manifest does not know it: remove it")


def _answers(folder: Path, manifest: Manifest, broken: set[str]) -> Iterator[Finding]:
    intact = [variant for variant in manifest.variants if variant.file.path not in broken]
    if not intact or manifest.golden.path in broken:
        return
    try:
        faults = golden_faults(Bundle(folder, manifest.model_copy(update={"variants": intact})))
    except ValueError as error:
        yield Finding(manifest.golden.path, f"cannot be read: {str(error).splitlines()[0]}")
        return
    for variant in intact:
        yield Finding(f"answers of {variant.name}", faults.get(variant.name))
