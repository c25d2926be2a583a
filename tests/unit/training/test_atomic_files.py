"""A file that is replaced is there as a whole or as it was."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from training.atomic_files import replace_file


def test_a_file_that_could_not_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    def half(aside: Path) -> None:
        aside.write_text("ne", encoding="utf-8")
        raise OSError("no space left")

    path = tmp_path / "record.json"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(OSError, match="no space left"):
        replace_file(path, half)
    assert path.read_text(encoding="utf-8") == "old"


def test_what_was_written_is_on_the_disk_before_it_takes_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synchronised: list[tuple[int, str]] = []
    path = tmp_path / "record.json"
    path.write_text("old", encoding="utf-8")
    monkeypatch.setattr(
        os, "fsync", lambda file: synchronised.append((os.fstat(file).st_size, path.read_text(encoding="utf-8")))
    )
    replace_file(path, lambda aside: aside.write_text("newer", encoding="utf-8"))
    assert synchronised == [(len("newer"), "old")]
    assert path.read_text(encoding="utf-8") == "newer"
