"""The registry of model bundles: an fsspec URL, a folder by default. Pure: no torch.

    <registry>/<name>/<version>/manifest.json ...    bundles, never changed after publishing
    <registry>/<name>/labels.json                    which version "stable", "canary", ... stand for, and their history
    <registry>/<name>/choices.json                   which variants are the best where, as measured after publishing
    <registry>/<name>/serving.json                   pinned versions, traffic split, shadow

A bundle becomes visible at once or not at all: in a folder by renaming a directory, in an object store by writing
manifest.json last. A version is the next free number; two publishers at once get two numbers.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from export.bundle import MANIFEST, Bundle, open_bundle, parse_manifest
from export.choices import CHOICES, Choices, HostChoice, merged
from export.failures import ExportFailure, MalformedBundle, NoFormerVersion, UnknownModel
from export.labels import LABELS, LabelChange, Labels
from export.manifest import NAME_PATTERN, Manifest
from export.records import Records, synchronise, write_atomically
from export.serving import SERVING, Serving, Target


class Registry:
    """Opens, publishes and labels bundles, and keeps who answers for a model. Creating the object touches nothing."""

    def __init__(self, url: str, cache: Path | None = None) -> None:
        self.url = url
        self._fs: Any
        self._fs, root = fsspec.core.url_to_fs(url)
        self._root = str(root).rstrip("/")
        self._local = isinstance(self._fs, LocalFileSystem)
        self._records = Records(self._fs, self._local)
        self._cache = cache or Path(tempfile.gettempdir()) / "bertline-bundles"

    def names(self) -> list[str]:
        """Names of all models with a published version, sorted."""
        return [name for name in self._children(self._root) if re.match(NAME_PATTERN, name) and self.versions(name)]

    def versions(self, name: str) -> list[int]:
        """Published versions of a model, ascending; empty for an unknown model."""
        folder = self._folder(name)
        found = [int(child) for child in self._children(folder) if child.isdigit()]
        return sorted(version for version in found if self._fs.exists(f"{folder}/{version}/{MANIFEST}"))

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
        path = f"{self._folder(name)}/{version}/{MANIFEST}"
        return parse_manifest(self._fs.cat_file(path), path)

    def open(self, name: str, version: int) -> Bundle:
        """A verified bundle in a local folder, fetched first where the registry is remote. Raises MalformedBundle."""
        source = f"{self._folder(name)}/{version}"
        if self._local:
            return self._checked(open_bundle(Path(source)), name, version)
        target = self._cache / uuid.uuid5(uuid.NAMESPACE_URL, self.url).hex / name / str(version)
        try:
            return self._checked(open_bundle(target), name, version)
        except MalformedBundle:
            pass  # not fetched yet, or cut off: fetch
        aside = target.with_name(f".{version}.{uuid.uuid4().hex}")
        aside.parent.mkdir(parents=True, exist_ok=True)
        self._fs.get(source, str(aside), recursive=True)
        shutil.rmtree(target, ignore_errors=True)
        aside.replace(target)
        return self._checked(open_bundle(target), name, version)

    def publish(self, folder: Path) -> Bundle:
        """Moves a complete bundle folder into the registry under the next free version, and returns it.

        The manifest's own version is replaced. Raises MalformedBundle when a file does not match the manifest; a
        manifest with an unproven variant cannot even be parsed.
        """
        bundle = open_bundle(folder)
        name = bundle.manifest.name
        while True:
            version = max(self.versions(name), default=0) + 1
            manifest = bundle.manifest.model_copy(update={"version": version})
            write_atomically(folder / MANIFEST, manifest.model_dump_json(indent=2) + "\n")
            if self._place(folder, name, version):
                return self.open(name, version)

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
        return self._records.read(f"{self._folder(name)}/{SERVING}", Serving)

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
        later = self._records.read(f"{self._folder(manifest.name)}/{CHOICES}", Choices).versions
        return merged(manifest.choices, later.get(manifest.version, []))

    def add_choice(self, name: str, version: int, choice: HostChoice) -> None:
        """Adds a choice of a published version, in the place of an earlier one for the same class. Raises UnknownModel."""
        self.resolve(name, version=version)
        path = f"{self._folder(name)}/{CHOICES}"
        self._records.change(path, Choices, lambda content: content.with_choice(version, choice))

    def _check_targets(self, name: str, targets: Sequence[Target]) -> None:
        if not self.versions(name):
            self.resolve(name)
        for target in targets:
            self.resolve(name, target.version, target.label)

    def _labels(self, name: str) -> Labels:
        return self._records.read(f"{self._folder(name)}/{LABELS}", Labels)

    def _change_labels(self, name: str, change: Callable[[Labels], Labels]) -> None:
        self._records.change(f"{self._folder(name)}/{LABELS}", Labels, change)

    def _change_serving(self, name: str, change: Callable[[Serving], Serving]) -> None:
        self._records.change(f"{self._folder(name)}/{SERVING}", Serving, change)

    def _place(self, folder: Path, name: str, version: int) -> bool:
        """Makes the folder visible as a version; False when somebody else took the number."""
        target = f"{self._folder(name)}/{version}"
        if not self._local:
            if self._fs.exists(target):
                return False
            files = [path for path in folder.iterdir() if path.name != MANIFEST]
            for path in (*files, folder / MANIFEST):
                self._fs.put_file(str(path), f"{target}/{path.name}")
            return True
        parent = Path(target).parent
        parent.mkdir(parents=True, exist_ok=True)
        aside = parent / f".{uuid.uuid4().hex}"
        shutil.copytree(folder, aside)
        for path in aside.iterdir():
            synchronise(path)
        synchronise(aside)
        try:
            # a directory is renamed onto an existing one only when that one is empty
            aside.rename(target)
        except OSError:
            shutil.rmtree(aside)
            return False
        synchronise(parent)
        return True

    @staticmethod
    def _checked(bundle: Bundle, name: str, version: int) -> Bundle:
        if (bundle.manifest.name, bundle.manifest.version) != (name, version):
            found = f"{bundle.manifest.name} {bundle.manifest.version}"
            raise MalformedBundle(f"{bundle.path}: its manifest says {found}; a bundle must not be moved by hand")
        return bundle

    def _folder(self, name: str) -> str:
        if not re.match(NAME_PATTERN, name):
            raise UnknownModel(f"{name!r} is no model name: use lower case letters, digits, '.', '_' and '-'")
        return f"{self._root}/{name}"

    def _children(self, folder: str) -> list[str]:
        try:
            found = (
                self._fs.ls(folder, detail=False, refresh=True)
                if not self._local
                else self._fs.ls(folder, detail=False)
            )
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(str(path).rstrip("/").rsplit("/", 1)[-1] for path in found)
