"""A program run in a process of its own, and the most memory that it held."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended. `peak_bytes`: the most memory it held, with libraries and data."""

    exit_code: int
    peak_bytes: int


def run_measured(command: Sequence[str]) -> Ended:
    """Runs a command to its end; it shares this process's terminal."""
    child = subprocess.Popen(command)  # noqa: S603 - the caller's own programs
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    # Linux counts kilobytes, macOS bytes
    return Ended(child.returncode, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))
