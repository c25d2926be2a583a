"""Files that are there as a whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


def replace_file(path: Path, write: Callable[[Path], Any]) -> None:
    """Writes aside, fsyncs and renames, so that a kill or a power cut leaves the old file or the new one."""
    aside = path.with_name(path.name + ".partial")
    write(aside)
    with aside.open("rb") as written:
        os.fsync(written.fileno())
    aside.replace(path)
