"""Where a measurement was taken: a figure without its machine is worth nothing."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

INSTRUCTION_SETS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")
LIBRARIES = ("grpcio", "protobuf", "onnxruntime-gpu", "onnxruntime", "tokenizers", "numpy", "uvloop")


@dataclass(frozen=True, slots=True)
class Host:
    """Facts that move the figures. `load` is the load average of one minute before the run."""

    processor: str
    instruction_sets: list[str]
    cores: int
    load: float
    system: str
    versions: dict[str, str]
    commit: str


def this_host() -> Host:
    """Facts of this machine, now."""
    processor, flags = _processor()
    return Host(
        processor=processor,
        instruction_sets=[name for name in INSTRUCTION_SETS if name in flags],
        cores=len(os.sched_getaffinity(0)),
        load=os.getloadavg()[0],
        system=f"{platform.system()} {platform.release()}",
        versions=_versions(),
        commit=_commit(),
    )


def _processor() -> tuple[str, set[str]]:
    facts: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        facts.setdefault(name.strip(), value.strip())
    return facts.get("model name", platform.machine()), set((facts.get("flags") or facts.get("Features", "")).split())


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _commit() -> str:
    """The commit of the working tree, marked when files differ from it; "unknown" outside a repository."""
    root = Path(__file__).resolve().parent.parent

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "--short=12", "HEAD") + (" with changes" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
