"""The registry of model bundles: an fsspec URL, a folder by default. Pure: no torch.

    <registry>/<name>/<version>/manifest.json ...    bundles, never changed after publishing
    <registry>/<name>/labels.json                    which version "stable", "canary", ... stand for, and their history

A bundle becomes visible at once or not at all: in a folder by renaming a directory, in an object store by writing
manifest.json last. A version is the next free number; two publishers at once get two numbers.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem
from pydantic import BaseModel, ConfigDict

from export.bundle import MANIFEST, Bundle, open_bundle, parse_manifest
from export.failures import ExportFailure, MalformedBundle, UnknownModel
from export.manifest import NAME_PATTERN, Manifest

LABELS = "labels.json"
HISTORY = 1_000


class LabelChange(BaseModel):
    """One line of a label's history. `version` None: the label was removed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str
    version: int | None
    previous: int | None
    time: str


class Labels(BaseModel):
    """Content of labels.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
    labels: dict[str, int] = {}
    history: list[LabelChange] = []


class Registry:
    """Opens, publishes and labels bundles. Creating the object touches nothing."""

    def __init__(self, url: str, cache: Path | None = None) -> None:
        self.url = url
        self._fs: Any
        self._fs, root = fsspec.core.url_to_fs(url)
        self._root = str(root).rstrip("/")
        self._local = isinstance(self._fs, LocalFileSystem)
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
        return dict(self._read_labels(name).labels)

    def history(self, name: str) -> list[LabelChange]:
        """Every change of a label, oldest first."""
        return list(self._read_labels(name).history)

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
        self._change(name, label, version)

    def remove_label(self, name: str, label: str) -> None:
        """Removes a label. Raises UnknownModel when it is not set."""
        self.resolve(name, label=label)
        self._change(name, label, None)

    def roll_back(self, name: str, label: str) -> int:
        """Points a label at the version that it had before, and returns that version."""
        current = self.resolve(name, label=label)
        changes = [change for change in self.history(name) if change.label == label]
        before = self._previous(changes, current)
        if before is None:
            raise UnknownModel(f"label {label!r} of model {name!r} has never stood for another version than {current}")
        self.resolve(name, version=before)
        self._change(name, label, before)
        return before

    @staticmethod
    def _previous(changes: list[LabelChange], current: int) -> int | None:
        """What the label stood for when it was first pointed at `current`; so rolling back twice goes back twice."""
        first = next((change for change in changes if change.version == current), None)
        return first.previous if first is not None else None

    def _change(self, name: str, label: str, version: int | None) -> None:
        content = self._read_labels(name)
        previous = content.labels.get(label)
        if previous == version:
            return
        labels = {key: value for key, value in content.labels.items() if key != label}
        if version is not None:
            labels[label] = version
        now = datetime.now(UTC).isoformat(timespec="seconds")
        change = LabelChange(label=label, version=version, previous=previous, time=now)
        changed = Labels(labels=labels, history=[*content.history, change][-HISTORY:])
        text = changed.model_dump_json(indent=2) + "\n"
        path = f"{self._folder(name)}/{LABELS}"
        if self._local:
            write_atomically(Path(path), text)
        else:
            self._fs.pipe_file(path, text.encode())

    def _read_labels(self, name: str) -> Labels:
        path = f"{self._folder(name)}/{LABELS}"
        if not self._fs.exists(path):
            return Labels()
        try:
            return Labels.model_validate(json.loads(self._fs.cat_file(path)))
        except ValueError as error:
            raise MalformedBundle(f"{path}: not a labels file ({error}); restore it, or set the labels again") from None

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


def write_atomically(path: Path, text: str) -> None:
    """Writes aside, fsyncs, renames."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    aside.write_text(text, encoding="utf-8")
    synchronise(aside)
    aside.replace(path)


def synchronise(path: Path) -> None:
    """fsync of a file or a directory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
