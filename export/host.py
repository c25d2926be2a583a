"""The machine, as far as it matters for speed and for int8 results. Pure: no torch, no onnxruntime."""

from __future__ import annotations

import ctypes
import os
import platform
from pathlib import Path

from export.host_class import UNKNOWN, processor_class
from export.manifest import Host

INSTRUCTION_SETS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "asimddp", "i8mm")
CUDA_DRIVER = "libcuda.so.1"
MAJOR, MINOR = 75, 76
"""CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR of the CUDA driver API."""


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


def host_class(device: str = "cpu", device_id: int = 0) -> str:
    """The class of this machine, see `export.host_class`: of its processor, or for `cuda` and `tensorrt` of its GPU."""
    if device == "cpu":
        return processor_class(platform.machine(), describe_host().instruction_sets)
    return f"{device}/{compute_capability(device_id) or UNKNOWN}"


def compute_capability(device_id: int = 0, driver: str = CUDA_DRIVER) -> str | None:
    """Of a GPU, such as "9.0", as its driver tells; None where there is no driver or no such GPU.

    The driver is asked itself, because the runtime of a server tells of no GPU what it is. GPUs are counted as CUDA does, which
    CUDA_VISIBLE_DEVICES changes.
    """
    try:
        cuda = ctypes.CDLL(driver)
        handle, value = ctypes.c_int(), ctypes.c_int()
        if cuda.cuInit(0) or cuda.cuDeviceGet(ctypes.byref(handle), device_id):
            return None
        found = []
        for attribute in (MAJOR, MINOR):
            if cuda.cuDeviceGetAttribute(ctypes.byref(value), attribute, handle):
                return None
            found.append(value.value)
    except (OSError, AttributeError):
        return None
    return f"{found[0]}.{found[1]}"
