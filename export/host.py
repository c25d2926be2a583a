"""The machine, as far as it matters for speed and for int8 results. Pure: no torch, no onnxruntime."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from export.manifest import Host

INSTRUCTION_SETS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "asimddp", "i8mm")


def describe_host() -> Host:
    """This machine."""
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text(encoding="utf-8", errors="replace") if cpuinfo.is_file() else ""
    model = next((line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")), "")
    flags = set(
        next((line.split(":")[1].split() for line in text.splitlines() if line.startswith(("flags", "Features"))), [])
    )
    sets = [name for name in INSTRUCTION_SETS if name in flags]
    return Host(
        processor=model or platform.processor() or platform.machine(), instruction_sets=sets, cores=os.cpu_count() or 1
    )
