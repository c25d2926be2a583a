"""The machine, in a line, for records that people read."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch


def describe_host() -> str:
    """Processor, cores, accelerator, system and Python."""
    accelerator = f", {torch.cuda.get_device_name(0)}" if torch.cuda.is_available() else ", no GPU"
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return f"{_processor()}, {os.cpu_count() or 1} cores{accelerator}; {system}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text(encoding="utf-8", errors="replace") if cpuinfo.is_file() else ""
    names = (line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()
