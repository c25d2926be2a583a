"""Records: what is known of something finished, as JSON that a pydantic model checks when it is read again."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from training.atomic_files import replace_file

Record = TypeVar("Record", bound=BaseModel)


def read_record(path: Path, kind: type[Record]) -> Record | None:
    """The record; None where there is none, or one that another version of this program wrote or that is damaged."""
    if not path.is_file():
        return None
    try:
        return kind.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError):
        return None


def write_record(path: Path, record: BaseModel) -> None:
    """As a whole or not at all."""
    text = record.model_dump_json(indent=2) + "\n"
    replace_file(path, lambda aside: aside.write_text(text, encoding="utf-8"))
