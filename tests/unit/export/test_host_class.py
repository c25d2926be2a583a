"""Classes of hosts by what decides how fast int8 is."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import pytest

from export import host
from export.host import compute_capability, host_class
from export.host_class import nearest, processor_class


@pytest.mark.parametrize(
    ("machine", "sets", "expected"),
    [
        ("x86_64", ["avx2"], "x86_64/avx2"),
        ("x86_64", ["avx2", "avx_vnni"], "x86_64/avx_vnni"),
        ("x86_64", ["avx2", "avx512f"], "x86_64/avx512f"),
        ("AMD64", ["avx2", "avx512f", "avx512_vnni", "avx_vnni"], "x86_64/avx512_vnni"),
        ("x86_64", ["avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8"], "x86_64/amx_int8"),
        ("x86_64", [], "x86_64/base"),
        ("aarch64", ["asimddp"], "aarch64/asimddp"),
        ("arm64", ["asimddp", "i8mm"], "aarch64/i8mm"),
        ("riscv64", [], "riscv64/base"),
        ("", [], "unknown/base"),
    ],
)
def test_the_best_instruction_set_for_bytes_makes_the_class(machine: str, sets: list[str], expected: str) -> None:
    assert processor_class(machine, sets) == expected


def test_the_nearest_class_of_the_same_family_stands_in() -> None:
    known = ["aarch64/i8mm", "x86_64/avx2", "x86_64/amx_int8"]
    assert nearest("x86_64/amx_int8", known) == "x86_64/amx_int8"
    assert nearest("x86_64/avx512_vnni", known) == "x86_64/amx_int8"
    assert nearest("x86_64/avx512f", known) == "x86_64/avx2"
    assert nearest("aarch64/base", known) == "aarch64/i8mm"
    assert nearest("cuda/9.0", known) is None
    assert nearest("x86_64/avx2", []) is None


def test_of_two_as_near_the_slower_one_stands_in() -> None:
    assert nearest("x86_64/avx_vnni", ["x86_64/avx512_vnni", "x86_64/avx512f"]) == "x86_64/avx512f"


def test_gpus_are_near_by_their_compute_capability() -> None:
    assert nearest("cuda/8.9", ["cuda/7.5", "cuda/9.0", "tensorrt/8.9"]) == "cuda/9.0"
    assert nearest("cuda/unknown", ["cuda/7.5", "cuda/9.0"]) == "cuda/7.5"


def test_without_a_driver_the_level_of_a_gpu_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "compute_capability", lambda device_id: None)
    assert host_class("cuda") == "cuda/unknown"
    assert compute_capability(0, "libthereisnosuch.so.1") is None


DRIVER = """
int cuInit(unsigned flags) { return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = 7; return ordinal == 0 ? 0 : 101; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
  if (device != 7) return 1;
  *value = attribute == 75 ? 9 : attribute == 76 ? 0 : -1;
  return 0;
}
"""


def test_the_driver_tells_the_compute_capability(tmp_path: Path) -> None:
    source, library = tmp_path / "driver.c", tmp_path / "libdriver.so"
    source.write_text(DRIVER, encoding="utf-8")
    try:
        subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(source)], check=True, capture_output=True)
    except OSError:
        pytest.skip("no C compiler")
    assert ctypes.CDLL(str(library)).cuInit(0) == 0
    assert compute_capability(0, str(library)) == "9.0"
    assert compute_capability(1, str(library)) is None
