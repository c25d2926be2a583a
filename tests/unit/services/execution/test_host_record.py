"""What was measured is kept for this host and this file alone, and a spoiled record is no reason not to start."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.inference.execution.calibration import Choice
from services.inference.execution.devices import Device
from services.inference.execution.host_record import BUSY_COUNTS_S, HostRecord, this_host

VARIANT = "a" * 64
CHOICE = Choice(threads=1, batch_tokens=256, batch_texts=8, run_cost_tokens=9.5, wide_from_tokens=64)


def test_a_choice_is_found_again_by_another_process(tmp_path: Path) -> None:
    assert HostRecord(tmp_path, this_host(Device(), 2)).write(VARIANT, CHOICE) is None
    assert HostRecord(tmp_path, this_host(Device(), 2)).read(VARIANT) == CHOICE


def test_another_file_device_or_number_of_cores_is_another_record(tmp_path: Path) -> None:
    HostRecord(tmp_path, this_host(Device(), 2)).write(VARIANT, CHOICE)
    assert HostRecord(tmp_path, this_host(Device(), 2)).read("b" * 64) is None
    assert HostRecord(tmp_path, this_host(Device(), 4)).read(VARIANT) is None
    assert HostRecord(tmp_path, this_host(Device("cuda"), 2)).read(VARIANT) is None


def test_another_version_of_the_runtime_is_another_record(tmp_path: Path) -> None:
    host = this_host(Device(), 2)
    HostRecord(tmp_path, host).write(VARIANT, CHOICE)
    assert HostRecord(tmp_path, host.model_copy(update={"onnxruntime": "0.0"})).read(VARIANT) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\x00", b'{"schema_version": 1}'])
def test_a_spoiled_file_counts_as_none_and_is_made_anew(tmp_path: Path, content: bytes) -> None:
    record = HostRecord(tmp_path, this_host(Device(), 2))
    record.write(VARIANT, CHOICE)
    record.path(VARIANT).write_bytes(content)
    assert record.read(VARIANT) is None
    record.write(VARIANT, CHOICE)
    assert record.read(VARIANT) == CHOICE


def test_a_record_copied_from_another_host_does_not_count(tmp_path: Path) -> None:
    host = this_host(Device(), 2)
    foreign = HostRecord(tmp_path, host.model_copy(update={"processor": "another"}))
    foreign.write(VARIANT, CHOICE)
    own = HostRecord(tmp_path, host)
    foreign.path(VARIANT).rename(own.path(VARIANT))
    assert own.read(VARIANT) is None


def test_what_was_measured_on_a_busy_host_counts_for_a_while(tmp_path: Path) -> None:
    now = 1_000.0
    record = HostRecord(tmp_path, this_host(Device(), 2), lambda: now)
    record.write(VARIANT, CHOICE.model_copy(update={"quiet": False}))
    assert record.read(VARIANT) is not None
    now += BUSY_COUNTS_S + 1
    assert record.read(VARIANT) is None


def test_a_folder_that_cannot_be_written_is_said_and_survived(tmp_path: Path) -> None:
    (tmp_path / "calibration").write_text("a file where a folder should be", encoding="utf-8")
    record = HostRecord(tmp_path, this_host(Device(), 2))
    assert record.write(VARIANT, CHOICE)
    assert record.read(VARIANT) is None


def test_no_half_written_file_is_left(tmp_path: Path) -> None:
    record = HostRecord(tmp_path, this_host(Device(), 2))
    record.write(VARIANT, CHOICE)
    assert [path.name for path in (tmp_path / "calibration").iterdir()] == [record.path(VARIANT).name]
