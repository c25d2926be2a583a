"""Classes of hosts on which the same variant is the fastest: by the int8 kernels of the processor, or by the GPU. Pure: no torch.

A class is written `family/level`: `x86_64/avx512_vnni`, `aarch64/asimddp`, `cuda/9.0`. How much int8 gains follows from the
best instruction set for products of bytes that ONNX Runtime finds; clock rates and core counts move all variants alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

LEVELS = {
    "x86_64": ("base", "avx2", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8"),
    "aarch64": ("base", "asimddp", "i8mm"),
}
"""Of processors, slowest at int8 first. A host is of the last level that it has."""
MACHINES = {"AMD64": "x86_64", "x64": "x86_64", "arm64": "aarch64"}
"""Other names of families."""
UNKNOWN = "unknown"
"""Level of a GPU whose driver does not tell."""
HOST_CLASS_PATTERN = r"^[A-Za-z0-9_]{1,32}/[A-Za-z0-9_.]{1,32}$"


def processor_class(machine: str, instruction_sets: Iterable[str]) -> str:
    """Of a machine as `platform.machine` names it, with the instruction sets that /proc/cpuinfo names."""
    family = MACHINES.get(machine, machine) or UNKNOWN
    having = set(instruction_sets)
    levels = LEVELS.get(family, ("base",))
    return f"{family}/{next((level for level in reversed(levels) if level in having), levels[0])}"


def nearest(wanted: str, known: Sequence[str]) -> str | None:
    """The class itself, or of those in its family the next one; of two as near, the slower. None without relatives."""
    family, _, level = wanted.partition("/")
    relatives = [each for each in known if each.partition("/")[0] == family]
    if wanted in relatives:
        return wanted

    def place(each: str) -> float:
        return _place(family, each.partition("/")[2])

    at = _place(family, level)
    return min(relatives, key=lambda each: (abs(place(each) - at), place(each)), default=None)


def _place(family: str, level: str) -> float:
    """Of a level among those of its family; a compute capability is its own."""
    levels = LEVELS.get(family, ())
    if level in levels:
        return float(levels.index(level))
    number = re.fullmatch(r"(\d+)\.(\d+)", level)
    return float(f"{number[1]}.{number[2]}") if number is not None else 0.0
