"""The files of a registry on any fsspec file system: bundles come and go whole, or not at all. Pure: no torch.

In a folder a bundle becomes visible by renaming a directory, in an object store by writing manifest.json last.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from export.bundle import MANIFEST, check_file
from export.failures import MalformedBundle, RegistryNotWritable
from export.manifest import FileEntry
from export.records import Records, synchronise

MARK = ".incoming"
"""In a folder of an object store: the SHA-256 of the manifest whose files are being written there. In a folder: the name of the
directory in which a bundle is gathered begins so."""

Copied = Callable[[str], None]
"""Is told the name of each file that was copied."""


class Storage:
    """Files under one root. Creating the object touches nothing."""

    def __init__(self, url: str) -> None:
        self._fs: Any
        # what other processes publish is to be seen at once
        self._fs, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        self.root = str(root).rstrip("/")
        self.local = isinstance(self._fs, LocalFileSystem)
        self.records = Records(self._fs, self.local)

    def children(self, folder: str) -> list[str]:
        """Names of what lies in a folder, sorted; none where there is no such folder."""
        try:
            found = self._fs.ls(folder, detail=False) if self.local else self._fs.ls(folder, detail=False, refresh=True)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(str(path).rstrip("/").rsplit("/", 1)[-1] for path in found)

    def exists(self, path: str) -> bool:
        """Whether there is a file, or anything below it."""
        return bool(self._fs.exists(path))

    def read(self, path: str) -> bytes | None:
        """A whole file; None where there is none."""
        try:
            content: bytes = self._fs.cat_file(path)
        except FileNotFoundError:
            return None
        return content

    def copy(self, source: str, folder: Path) -> None:
        """Copies the files of a bundle as they lie there, whatever they are, into an empty local folder."""
        for name in self.children(source):
            if not self._fs.isdir(f"{source}/{name}"):
                self._fs.get_file(f"{source}/{name}", str(folder / name))

    def place(self, folder: Path, names: Sequence[str], target: str) -> bool:
        """Makes these files, the manifest among them, visible as the bundle `target`; False where there already is something."""
        if self.local:
            return self._renamed(folder, names, Path(target))
        if self._fs.exists(target):
            return False
        self._written(folder, names, target)
        return True

    def place_resumably(
        self, folder: Path, files: Sequence[FileEntry], others: Sequence[str], target: str, mark: str, copied: Copied
    ) -> bool:
        """As `place`, but what an interrupted call with the same `mark` has written to an object store is not written again.

        `mark` is the SHA-256 of the manifest. Files of a former call with another mark are replaced. `others` are written in
        any case.
        """
        if self.local:
            return self._renamed(folder, [*(entry.path for entry in files), *others], Path(target))
        if self._fs.exists(f"{target}/{MANIFEST}"):
            return False
        held = self._marked(target, mark)
        missing = [entry.path for entry in files if held.get(entry.path) != entry.size_bytes]
        for name in missing:
            self._fs.put_file(str(folder / name), f"{target}/{name}")
            copied(name)
        if self.read(f"{target}/{MARK}") != mark.encode():
            raise RegistryNotWritable(f"{target}: somebody else writes another bundle there at this moment; try again")
        self._written(folder, [name for name in others if name != MANIFEST], target)
        self._fs.rm_file(f"{target}/{MARK}")
        self._written(folder, [MANIFEST], target)
        return True

    def _marked(self, target: str, mark: str) -> dict[str, int]:
        """Size of the files that were written for this mark; each was written whole or not at all."""
        if self.read(f"{target}/{MARK}") == mark.encode():
            return {
                str(each["name"]).rsplit("/", 1)[-1]: int(each["size"]) for each in self._fs.ls(target, detail=True)
            }
        self._fs.pipe_file(f"{target}/{MARK}", mark.encode())
        return {}

    def fetch(self, source: str, entries: Sequence[FileEntry], folder: Path, copied: Copied = lambda _: None) -> None:
        """Copies these files of a bundle into a local folder, but for those that are there intact. Raises MalformedBundle."""
        for entry in entries:
            if _intact(folder, entry):
                continue
            aside = folder / f".{uuid.uuid4().hex}"
            try:
                self._fs.get_file(f"{source}/{entry.path}", str(aside))
                aside.replace(folder / entry.path)
            except FileNotFoundError:
                raise MalformedBundle(f"{source}/{entry.path}: missing; publish the bundle again") from None
            finally:
                aside.unlink(missing_ok=True)
            check_file(folder, entry)
            copied(entry.path)

    @contextmanager
    def gathering(self, target: str, mark: str) -> Iterator[Path]:
        """A folder beside `target`, in which an interrupted call with the same `mark` has left what it had got.

        Whoever has gathered the bundle calls `settle`. Raises RegistryNotWritable while somebody else gathers the same one.
        """
        folder = Path(target).with_name(f"{MARK}.{Path(target).name}.{mark[:16]}")
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RegistryNotWritable(f"{target}: somebody else is getting it at this moment") from None
            yield folder
        finally:
            os.close(descriptor)

    @staticmethod
    def settle(folder: Path, target: str) -> bool:
        """Makes a gathered folder visible as `target`; False where there already is something."""
        for path in folder.iterdir():
            synchronise(path)
        synchronise(folder)
        try:
            # a directory is renamed onto an existing one only when that one is empty
            folder.rename(target)
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}:
                raise
            return False
        synchronise(folder.parent)
        return True

    def _renamed(self, folder: Path, names: Sequence[str], target: Path) -> bool:
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = target.parent / f".{uuid.uuid4().hex}"
        aside.mkdir()
        try:
            for name in names:
                shutil.copy2(folder / name, aside)
            return self.settle(aside, str(target))
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def _written(self, folder: Path, names: Sequence[str], target: str) -> None:
        for name in sorted(names, key=lambda each: each == MANIFEST):
            self._fs.put_file(str(folder / name), f"{target}/{name}")


def _intact(folder: Path, entry: FileEntry) -> bool:
    try:
        check_file(folder, entry)
    except MalformedBundle:
        return False
    return True
