"""The registry of model bundles: an fsspec URL, a folder by default. Pure: no torch.

    <registry>/<name>/<version>/manifest.json ...    bundles, never changed after publishing
    <registry>/<name>/<version>/manifest.sig         signatures of the manifest, which may be added later
    <registry>/<name>/labels.json                    which version "stable", "canary", ... stand for, and their history
    <registry>/<name>/choices.json                   which variants are the best where, as measured after publishing
    <registry>/<name>/serving.json                   pinned versions, traffic split, shadow

A bundle becomes visible at once or not at all: in a folder by renaming a directory, in an object store by writing
manifest.json last. A version is the next free number; two publishers at once get two numbers.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from export.bundle import MANIFEST, Bundle, open_bundle, parse_manifest, read_signatures
from export.choices import CHOICES, Choices, HostChoice, merged
from export.failures import ExportFailure, MalformedBundle, NoFormerVersion, UnknownModel
from export.labels import LABELS, LabelChange, Labels
from export.manifest import NAME_PATTERN, Manifest
from export.records import write_atomically
from export.serving import SERVING, Serving, Target
from export.signing import SIGNATURES, Signatures, SigningKey, TrustedKeys
from export.storage import Storage


class Registry:
    """Opens, publishes and labels bundles, and keeps who answers for a model. Creating the object touches nothing."""

    def __init__(self, url: str, cache: Path | None = None, trusted: TrustedKeys | None = None) -> None:
        """With `trusted`, only bundles that one of these keys signed can be opened; `cache` holds those of an object store."""
        self.url = url
        self.storage = Storage(url)
        self._trusted = trusted
        self._cache = cache or Path(tempfile.gettempdir()) / "bertline-bundles"

    def names(self) -> list[str]:
        """Names of all models with a published version, sorted."""
        return [
            name
            for name in self.storage.children(self.storage.root)
            if re.match(NAME_PATTERN, name) and self.versions(name)
        ]

    def versions(self, name: str) -> list[int]:
        """Published versions of a model, ascending; empty for an unknown model."""
        folder = self._folder(name)
        return [number for number in self._numbers(folder) if self.storage.exists(f"{folder}/{number}/{MANIFEST}")]

    def labels(self, name: str) -> dict[str, int]:
        """Label -> version."""
        return dict(self._labels(name).labels)

    def history(self, name: str) -> list[LabelChange]:
        """Every change of a label, oldest first."""
        return list(self._labels(name).history)

    def resolve(self, name: str, version: int | None = None, label: str | None = None) -> int:
        """The version meant by a version, a label, or neither ("stable"). Raises UnknownModel that says what there is."""
        versions = self.versions(name)
        if not versions:
            known = ", ".join(self.names()) or "none"
            raise UnknownModel(f"{self.url} has no model {name!r}; it has: {known}")
        if version is not None:
            if version not in versions:
                raise UnknownModel(f"model {name!r} has no version {version}; it has: {', '.join(map(str, versions))}")
            return version
        labels = self.labels(name)
        wanted = label or "stable"
        if wanted not in labels:
            raise UnknownModel(f"model {name!r} has no label {wanted!r}; it has: {', '.join(sorted(labels)) or 'none'}")
        return labels[wanted]

    def manifest(self, name: str, version: int) -> Manifest:
        """The manifest alone, its files unchecked. Raises MalformedBundle."""
        content = self.content(name, version)
        path = f"{self.path(name, version)}/{MANIFEST}"
        if content is None:
            raise MalformedBundle(f"{path}: missing; publish the bundle again")
        return parse_manifest(content, path)

    def content(self, name: str, version: int, file: str = MANIFEST) -> bytes | None:
        """The bytes of manifest.json or manifest.sig as they lie there; None where there is none."""
        return self.storage.read(f"{self.path(name, version)}/{file}")

    def path(self, name: str, version: int) -> str:
        """Where a bundle lies, or would lie, on the registry's file system."""
        return f"{self._folder(name)}/{version}"

    def open(self, name: str, version: int) -> Bundle:
        """A verified bundle in a local folder, fetched first where the registry is remote.

        Raises MalformedBundle; UntrustedBundle where signatures are required and none holds, before anything is fetched.
        """
        if not self.storage.local:
            return checked_identity(self._cached(name, version), name, version)
        return checked_identity(open_bundle(Path(self.path(name, version)), self._trusted), name, version)

    def _cached(self, name: str, version: int) -> Bundle:
        source = self.path(name, version)
        content = self.content(name, version)
        if content is None:
            raise MalformedBundle(f"{source}/{MANIFEST}: missing; publish the bundle again")
        signatures = self.content(name, version, SIGNATURES)
        if self._trusted is not None:
            self._trusted.require(content, signatures, source)
        target = self._cache / uuid.uuid5(uuid.NAMESPACE_URL, self.url).hex / name / str(version)
        try:
            bundle = open_bundle(target)
            if (target / MANIFEST).read_bytes() == content:
                _keep_signatures(target, signatures)
                return bundle
        except MalformedBundle:
            pass  # not fetched yet, or cut off: fetch
        aside = target.with_name(f".{version}.{uuid.uuid4().hex}")
        aside.mkdir(parents=True)
        try:
            self.storage.fetch(source, parse_manifest(content, source).files(), aside)
            (aside / MANIFEST).write_bytes(content)
            _keep_signatures(aside, signatures)
            shutil.rmtree(target, ignore_errors=True)
            with contextlib.suppress(OSError):  # another process was faster
                aside.replace(target)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return open_bundle(target)

    def publish(self, folder: Path, key: SigningKey | None = None) -> Bundle:
        """Moves a complete bundle folder into the registry under the next free version, and returns it.

        The manifest's own version is replaced; then `key` signs it, so that the bundle appears with its signature. Raises
        MalformedBundle when a file does not match the manifest; a manifest with an unproven variant cannot even be parsed.
        """
        bundle = open_bundle(folder)
        name = bundle.manifest.name
        while True:
            version = max(self._numbers(self._folder(name)), default=0) + 1
            manifest = bundle.manifest.model_copy(update={"version": version})
            write_atomically(folder / MANIFEST, manifest.model_dump_json(indent=2) + "\n")
            # of a former number, if there is one
            (folder / SIGNATURES).unlink(missing_ok=True)
            if key is not None:
                signed = Signatures().added(key.sign((folder / MANIFEST).read_bytes()))
                write_atomically(folder / SIGNATURES, signed.model_dump_json(indent=2) + "\n")
            names = [path.name for path in folder.iterdir()]
            if self.storage.place(folder, names, self.path(name, version)):
                return self.open(name, version)

    def sign(self, name: str, version: int, key: SigningKey) -> None:
        """Adds a signature to a published bundle, whose files are checked first. Raises UnknownModel, MalformedBundle."""
        self.resolve(name, version=version)
        content = (self.open(name, version).path / MANIFEST).read_bytes()
        self.add_signatures(name, version, Signatures().added(key.sign(content)))

    def add_signatures(self, name: str, version: int, more: Signatures) -> None:
        """Those of other keys stay."""

        def change(held: Signatures) -> Signatures:
            for each in more.signatures:
                held = held.added(each)
            return held

        path = f"{self.path(name, version)}/{SIGNATURES}"
        self.storage.records.change(path, Signatures, change, self._folder(name))

    def set_label(self, name: str, label: str, version: int) -> None:
        """Points a label at a version. Raises UnknownModel, or ExportFailure for a malformed label."""
        if not re.match(NAME_PATTERN, label) or label.isdigit():
            raise ExportFailure(
                f"{label!r} is no label: use lower case letters, digits, '.', '_', '-', not a number alone"
            )
        self.resolve(name, version=version)
        self._change_labels(name, lambda content: content.pointed(label, version))

    def remove_label(self, name: str, label: str) -> None:
        """Removes a label. Raises UnknownModel when it is not set."""
        self.resolve(name, label=label)
        self._change_labels(name, lambda content: content.pointed(label, None))

    def former(self, name: str, label: str) -> int:
        """The version that a label had before. Raises UnknownModel, NoFormerVersion when it had no other one."""
        current = self.resolve(name, label=label)
        before = self._labels(name).former(label)
        if before is None:
            raise NoFormerVersion(
                f"label {label!r} of model {name!r} has never stood for another version than {current}"
            )
        return self.resolve(name, version=before)

    def roll_back(self, name: str, label: str) -> int:
        """Points a label at the version that it had before, and returns that version."""
        before = self.former(name, label)
        self._change_labels(name, lambda content: content.pointed(label, before))
        return before

    def serving(self, name: str) -> Serving:
        """Pinned versions, traffic split, shadow."""
        return self.storage.records.read(f"{self._folder(name)}/{SERVING}", Serving)

    def pin(self, name: str, version: int) -> None:
        """Has a version served although nothing points at it. Raises UnknownModel."""
        self.resolve(name, version=version)
        self._change_serving(name, lambda content: content.with_pinned(version, True))

    def unpin(self, name: str, version: int) -> None:
        """Takes back `pin`. Raises UnknownModel."""
        self.resolve(name, version=version)
        self._change_serving(name, lambda content: content.with_pinned(version, False))

    def set_split(self, name: str, shares: Sequence[tuple[Target, int]]) -> None:
        """Splits the traffic by percent. Raises UnknownModel, ValueError for shares that cannot be."""
        self._check_targets(name, [target for target, _ in shares])
        self._change_serving(name, lambda content: content.with_split(shares))

    def set_shadow(self, name: str, target: Target | None, percent: int) -> None:
        """Mirrors so many percent of the traffic to the target; none without one. Raises UnknownModel."""
        self._check_targets(name, [] if target is None else [target])
        self._change_serving(name, lambda content: content.with_shadow(target, percent))

    def choices(self, manifest: Manifest) -> list[HostChoice]:
        """The best variants by class of hosts: what was measured after publishing before what the manifest says."""
        later = self.storage.records.read(f"{self._folder(manifest.name)}/{CHOICES}", Choices).versions
        return merged(manifest.choices, later.get(manifest.version, []))

    def add_choice(self, name: str, version: int, choice: HostChoice) -> None:
        """Adds a choice of a published version, in the place of an earlier one for the same class. Raises UnknownModel."""
        self.resolve(name, version=version)
        path = f"{self._folder(name)}/{CHOICES}"
        self.storage.records.change(path, Choices, lambda content: content.with_choice(version, choice))

    def _check_targets(self, name: str, targets: Sequence[Target]) -> None:
        if not self.versions(name):
            self.resolve(name)
        for target in targets:
            self.resolve(name, target.version, target.label)

    def _labels(self, name: str) -> Labels:
        return self.storage.records.read(f"{self._folder(name)}/{LABELS}", Labels)

    def _change_labels(self, name: str, change: Callable[[Labels], Labels]) -> None:
        self.storage.records.change(f"{self._folder(name)}/{LABELS}", Labels, change)

    def _change_serving(self, name: str, change: Callable[[Serving], Serving]) -> None:
        self.storage.records.change(f"{self._folder(name)}/{SERVING}", Serving, change)

    def _numbers(self, folder: str) -> list[int]:
        """Of everything that lies there under a number, ascending; what is being written has no manifest yet."""
        return sorted(int(child) for child in self.storage.children(folder) if child.isdigit())

    def _folder(self, name: str) -> str:
        if not re.match(NAME_PATTERN, name):
            raise UnknownModel(f"{name!r} is no model name: use lower case letters, digits, '.', '_' and '-'")
        return f"{self.storage.root}/{name}"


def checked_identity(bundle: Bundle, name: str, version: int) -> Bundle:
    """The bundle, if it is the one that its place says. Raises MalformedBundle."""
    if (bundle.manifest.name, bundle.manifest.version) != (name, version):
        found = f"{bundle.manifest.name} {bundle.manifest.version}"
        raise MalformedBundle(f"{bundle.path}: its manifest says {found}; a bundle must not be moved by hand")
    return bundle


def _keep_signatures(folder: Path, content: bytes | None) -> None:
    """As in the registry, where they may have changed since the bundle was fetched."""
    if content is None:
        (folder / SIGNATURES).unlink(missing_ok=True)
    elif read_signatures(folder) != content:
        write_atomically(folder / SIGNATURES, content.decode())
