"""Files that are there as a whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def replace_file(path: Path, write: Callable[[Path], Any]) -> None:
    """Writes aside and renames, so that a kill leaves the old file or the new one."""
    aside = path.with_name(path.name + ".partial")
    write(aside)
    aside.replace(path)
