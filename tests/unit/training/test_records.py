"""A record that is read is whole and of this version; anything else is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from training.records import read_record, write_record


class Made(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_record(tmp_path / "made.json", Made(name="体育"))
    assert read_record(tmp_path / "made.json", Made) == Made(name="体育")
    assert [path.name for path in tmp_path.iterdir()] == ["made.json"]


@pytest.mark.parametrize(
    "content", [b'{"name": "a", "more": 1}', b"{}", b'{"name": "a', b'{"name": "\xff"}', b""], ids=repr
)
def test_damage_and_another_version_are_no_record(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "made.json").write_bytes(content)
    assert read_record(tmp_path / "made.json", Made) is None


def test_where_there_is_nothing_there_is_no_record(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for path in (tmp_path / "none.json", tmp_path / "folder", tmp_path / "file" / "made.json"):
        assert read_record(path, Made) is None
