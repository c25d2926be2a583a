"""Other runs whose networks may answer in a run's place, checked before anything is spent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.failures import ExportFailure
from export.reuse import complete_run
from export.structure.catalogue import CATALOGUE
from training.dataset import Split
from training.duplicates import identity
from training.fingerprint import files_fingerprint
from training.run import Part, RunDirectory, RunRecord

LONGEST_NAME = 40
LEARNED_FROM: tuple[Part, ...] = (Split.TRAIN, "augmented", "unlabelled")


@dataclass(frozen=True, slots=True)
class Student:
    """A run that fits the full one."""

    run: RunDirectory
    record: RunRecord

    @property
    def name(self) -> str:
        """How its variants are called."""
        return self.record.name

    def lacks(self) -> dict[str, str | int | float]:
        """For the manifest: which run it is."""
        found: dict[str, str | int | float] = {
            "run": self.record.name,
            "checkpoint": files_fingerprint([self.run.checkpoint]),
        }
        return found


def students_of(folders: Sequence[Path], run: RunDirectory, record: RunRecord) -> list[Student]:
    """The runs in these folders. Raises ExportFailure where one cannot take the place of `run`."""
    students = []
    for folder in folders:
        student = Student(RunDirectory(folder), complete_run(RunDirectory(folder)))
        _require_fit(student, run, record)
        students.append(student)
    names = [student.name for student in students]
    if long := [name for name in names if len(name) > LONGEST_NAME]:
        raise ExportFailure(
            f"candidate run {', '.join(long)}: names of variants begin with it, so it may have {LONGEST_NAME} characters; "
            "train it with a shorter --name"
        )
    if doubled := sorted({name for name in names if names.count(name) > 1 or name in {record.name, *CATALOGUE}}):
        raise ExportFailure(
            f"candidate run {', '.join(doubled)}: its variants need another name; train it with another --name"
        )
    return students


def _require_fit(student: Student, run: RunDirectory, record: RunRecord) -> None:
    other, where = student.record, f"candidate run {student.run.root}"
    if other.task != record.task:
        raise ExportFailure(f"{where} learned {other.task}, {record.name} learned {record.task}")
    if other.task == "embedding":
        raise ExportFailure(f"{where}: vectors of another encoder are none of this one's; export it by itself")
    if other.labels != record.labels:
        raise ExportFailure(f"{where} has other labels than {record.name}: {_difference(other.labels, record.labels)}")
    if (other.pair, other.max_length) != (record.pair, record.max_length):
        raise ExportFailure(
            f"{where} reads {_reads(other)}, {record.name} reads {_reads(record)}; train it with the same --max-length"
        )
    if other.scale != record.scale:
        raise ExportFailure(f"{where} gives numbers on another scale than {record.name}; train both on the same rows")
    if _vocabulary(student.run) != _vocabulary(run):
        raise ExportFailure(
            f"{where} has another tokenizer than {record.name}, and a bundle has one: distil it from {record.name}"
        )
    mine, theirs = (each.out_of_scope.detector if each.out_of_scope else None for each in (record, other))
    if mine != theirs:
        raise ExportFailure(
            f"{where} tells texts out of scope by {theirs or 'nothing'}, {record.name} by {mine or 'nothing'}; train both alike"
        )
    if seen := _seen(student, run, record):
        raise ExportFailure(
            f"{where} was trained on {seen:,} of the texts that {record.name} is judged by: its figures would be too good. "
            "Train it on the data, the splits and the data seed of that run"
        )


def _seen(student: Student, run: RunDirectory, record: RunRecord) -> int:
    """Texts that judge the full run among those that the student learned from; equal data in equal splits needs no look."""
    if student.record.data_fingerprint == record.data_fingerprint:
        return 0
    judged = {identity(row) for split in (Split.VALIDATION, Split.TEST) for row in run.examples(split)}
    return sum(identity(row) in judged for part in LEARNED_FROM for row in student.run.examples(part))


def _vocabulary(run: RunDirectory) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run.checkpoint / "tokenizer.json").read_text(encoding="utf-8"))
    # how it cuts and pads is set anew by whoever uses it
    return {key: value for key, value in content.items() if key not in {"truncation", "padding"}}


def _reads(record: RunRecord) -> str:
    return f"{'pairs' if record.pair else 'single texts'} of up to {record.max_length} tokens"


def _difference(one: Sequence[str], other: Sequence[str]) -> str:
    if set(one) == set(other):
        return "the same in another order"
    only = (sorted(set(one) - set(other)), sorted(set(other) - set(one)))
    sides = zip(("it alone has", "it lacks"), only, strict=True)
    return "; ".join(f"{side} {', '.join(map(repr, labels[:5]))}" for side, labels in sides if labels)
