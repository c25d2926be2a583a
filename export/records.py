"""Small JSON files beside the bundles: read whole, changed under a lock, replaced atomically. Pure: no torch.

In a folder, writers take turns (a lock file, held with flock, which the system releases when its holder dies). Object
stores have no locks: there, of two changes of one file at the same moment the later one stays.
"""

from __future__ import annotations

import fcntl
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from export.failures import MalformedBundle, RegistryNotWritable

LOCK = ".lock"
LOCK_WAIT_S = 10.0
LOCK_POLL_S = 0.01

Record = TypeVar("Record", bound=BaseModel)


class Records:
    """The files of one registry; `filesystem` is fsspec's. An absent file is a record of defaults."""

    def __init__(self, filesystem: Any, local: bool) -> None:
        self._fs = filesystem
        self._local = local

    def read(self, path: str, kind: type[Record]) -> Record:
        """Raises MalformedBundle naming the file."""
        try:
            text = self._fs.cat_file(path)
        except FileNotFoundError:
            return kind()
        try:
            return kind.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the whole file"
            raise MalformedBundle(
                f"{path}: {where}: {first['msg']}; restore the file, or remove it and set its content again"
            ) from None

    def change(
        self, path: str, kind: type[Record], change: Callable[[Record], Record], folder: str | None = None
    ) -> None:
        """Reads, changes and replaces the file; nobody else can change it meanwhile. Raises RegistryNotWritable too.

        Writers take turns by a lock in `folder`, by default that of the file.
        """
        try:
            with self._turn(path, Path(path).parent if folder is None else Path(folder)):
                before = self.read(path, kind)
                after = change(before)
                if after != before:
                    self._replace(path, after.model_dump_json(indent=2) + "\n")
        except OSError as error:
            raise RegistryNotWritable(f"{path} cannot be written: {error.strerror or error}") from None

    @contextmanager
    def _turn(self, path: str, folder: Path) -> Iterator[None]:
        if not self._local:
            yield
            return
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            _lock(descriptor, path)
            yield
        finally:
            os.close(descriptor)

    def _replace(self, path: str, text: str) -> None:
        if self._local:
            write_atomically(Path(path), text)
        else:
            self._fs.pipe_file(path, text.encode())


def _lock(descriptor: int, path: str) -> None:
    until = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > until:
                raise RegistryNotWritable(
                    f"{path}: somebody else has been changing it for {LOCK_WAIT_S:.0f} s"
                ) from None
            time.sleep(LOCK_POLL_S)


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
