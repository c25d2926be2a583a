"""Where a measurement was taken: a figure without its machine is worth nothing."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

LIBRARIES = ("grpcio", "protobuf", "onnxruntime-gpu", "onnxruntime", "tokenizers", "numpy", "uvloop")


@dataclass(frozen=True, slots=True)
class Facts:
    """What moves the figures. `load` is the load average of one minute before the run."""

    processor: str
    instruction_sets: list[str]
    cores: int
    load: float
    system: str
    versions: dict[str, str]
    commit: str


def facts() -> Facts:
    """Facts of this machine, now."""
    from export.host import describe_host

    host = describe_host()
    return Facts(
        processor=host.processor,
        instruction_sets=host.instruction_sets,
        cores=len(os.sched_getaffinity(0)),
        load=os.getloadavg()[0],
        system=f"{platform.system()} {platform.release()}",
        versions=versions(),
        commit=commit(Path(__file__).resolve().parent.parent),
    )


def busy_seconds() -> float:
    """CPU time that the whole machine has spent, every process and what the hypervisor took away (proc(5), /proc/stat)."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, _cpu_line().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _cpu_line() -> str:
    with Path("/proc/stat").open(encoding="ascii") as file:
        return file.readline()


def versions() -> dict[str, str]:
    """Installed versions of the libraries that the figures depend on."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def commit(root: Path) -> str:
    """The commit of a working tree, marked when files differ from it; "unknown" outside a repository."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "--short=12", "HEAD") + (" with changes" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
