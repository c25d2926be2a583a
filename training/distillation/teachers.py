"""The teachers: finished runs, checked before anything is spent, and what they answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from transformers import AutoConfig

from training.additions import has_addition
from training.atomic_files import replace_file
from training.dataset import Dataset, Example, Split, TaskName
from training.distillation.imitation import Logits
from training.distillation.layers import layers_of, require_stack
from training.distillation.settings import DistillationSettings
from training.duplicates import Progress, identity
from training.encoding import encode
from training.failures import InvalidSettings, UnusableData
from training.fingerprint import combined, files_fingerprint
from training.heads import SequenceClassifier
from training.model_making import load_tokenizer, padding_of
from training.preparation import Prepared
from training.run import Part, RunDirectory, RunRecord
from training.splitting import fingerprint
from training.trainer import predict_logits

AT_ONCE = 256
"""Texts whose answers are lost by a kill at most."""
ANSWERS = "logits"
CHECKPOINT = ("config.json", "model.safetensors", "head.json", "head.safetensors", "tokenizer.json")


@dataclass(frozen=True, slots=True)
class Teacher:
    """A finished run."""

    run: RunDirectory
    record: RunRecord
    fingerprint: str
    """SHA-256 over the files of the checkpoint."""
    layers: int

    def model(self) -> SequenceClassifier:
        """In evaluation mode, on the GPU if there is one."""
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return SequenceClassifier.load(self.run.checkpoint).to(device)

    def answers(self, parts: Mapping[str, Sequence[Example]], kept: Path, progress: Progress) -> dict[str, Logits]:
        """Logits float32 [rows, labels] of each part of the rows.

        They stay in the folder `kept`, a few hundred rows a file; what it holds of these texts is read.
        """
        kept.mkdir(exist_ok=True)
        rows = [row for part in parts.values() for row in part]
        answers: list[Logits] = []
        ask: Callable[[Sequence[Example]], Logits] | None = None
        for start in range(0, len(rows), AT_ONCE):
            some = rows[start : start + AT_ONCE]
            path = kept / f"{start}.safetensors"
            mark = combined(self.fingerprint, fingerprint(some))
            found = _stored(path, mark)
            if found is None:
                progress(f"asking {self.record.name}", start, len(rows))
                ask = ask or self._opened()
                found = ask(some)
                replace_file(path, partial(save_file, {ANSWERS: found}, metadata={"fingerprint": mark}))
            answers.append(found)
        if ask is not None:
            progress(f"asking {self.record.name}", len(rows), len(rows))
        ends = np.cumsum([len(part) for part in parts.values()])[:-1]
        return dict(zip(parts, np.split(np.concatenate(answers), ends), strict=True))

    def _opened(self) -> Callable[[Sequence[Example]], Logits]:
        model, tokenizer = self.model(), load_tokenizer(str(self.run.checkpoint))

        def ask(rows: Sequence[Example]) -> Logits:
            encoded = encode(rows, tokenizer, [0] * len(rows), self.record.max_length)
            return predict_logits(model, encoded, padding_of(tokenizer))

        return ask


def find_teachers(settings: DistillationSettings, task: TaskName) -> list[Teacher]:
    """Opens the runs. Raises InvalidSettings where one is not a finished run of the task, or where its layers are
    too few or not such as can be left out."""
    teachers = [_teacher(Path(folder), task) for folder in settings.teachers]
    first = teachers[0]
    if settings.layers is not None and settings.layers > first.layers:
        raise InvalidSettings(
            f"layers: the teacher {first.record.name} has {first.layers}, a student cannot be made of {settings.layers} of them"
        )
    if settings.layers is not None and has_addition(first.run.checkpoint):
        raise InvalidSettings(
            f"layers: the teacher {first.record.name} has adapters or a prefix beside its layers, which cannot be copied with "
            "them; distil without --layers"
        )
    if settings.layers is not None:
        require_stack(AutoConfig.from_pretrained(first.run.checkpoint))
    return teachers


def require_fit(teacher: Teacher, prepared: Prepared) -> None:
    """Raises UnusableData where the teacher has other labels, or has learned from rows that the student is judged by."""
    record, dataset = teacher.record, prepared.dataset
    if record.labels != dataset.labels:
        raise UnusableData(
            f"teacher {record.name} has other labels than the data: {_difference(record.labels, dataset.labels)}"
        )
    if record.pair != prepared.pair:
        raise UnusableData(
            f"teacher {record.name} reads {'pairs of texts' if record.pair else 'single texts'}, the data has "
            f"{'pairs' if prepared.pair else 'single ones'}"
        )
    if seen := _seen(teacher, dataset):
        raise UnusableData(
            f"teacher {record.name} was trained on {seen:,} of the texts that the student would be judged by: its scores would "
            "be too good. Use the data, the splits and the data seed of the teacher's run"
        )


def _teacher(folder: Path, task: TaskName) -> Teacher:
    run = RunDirectory(folder)
    if not folder.is_dir():
        raise InvalidSettings(f"teacher {folder} does not exist; give the folder of a finished run, such as runs/NAME")
    if not run.record_path.is_file():
        raise InvalidSettings(
            f"teacher {folder} is not a finished run (it has no run.json); let its training end first"
        )
    record = run.record()
    if record is None:
        raise InvalidSettings(
            f"teacher {folder}: run.json cannot be read by this version of the program; train it again"
        )
    if missing := [name for name in CHECKPOINT if not (run.checkpoint / name).is_file()]:
        raise InvalidSettings(f"teacher {folder}: the checkpoint lacks {', '.join(missing)}; train it again")
    if record.task != task:
        raise InvalidSettings(
            f"teacher {folder} learned {record.task}, the student is to learn {task}; choose one --task"
        )
    layers = layers_of(AutoConfig.from_pretrained(run.checkpoint))
    return Teacher(run, record, files_fingerprint([run.checkpoint]), layers)


def _seen(teacher: Teacher, dataset: Dataset) -> int:
    """Rows of validation and test among those that the teacher learned from. Equal data in equal splits needs no look."""
    if teacher.record.data_fingerprint == dataset.fingerprint:
        return 0
    if not (teacher.run.data / "train.jsonl").is_file():
        raise UnusableData(
            f"teacher {teacher.record.name} learned from other data, and its folder does not say from which (data/train.jsonl is "
            "gone): the texts that the student would be judged by may be among them"
        )
    learned_from: tuple[Part, ...] = (Split.TRAIN, "augmented", "unlabelled")
    learned = {identity(row) for part in learned_from for row in teacher.run.examples(part)}
    return sum(identity(row) in learned for row in (*dataset.validation, *dataset.test))


def _stored(path: Path, mark: str) -> Logits | None:
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            same = (file.metadata() or {}).get("fingerprint") == mark
            found: Logits | None = file.get_tensor(ANSWERS) if same else None
            return found
    except SafetensorError:
        return None


def _difference(teacher: Sequence[str], data: Sequence[str]) -> str:
    sides = (("only the teacher", set(teacher) - set(data)), ("only the data", set(data) - set(teacher)))
    return "; ".join(f"{side} has {_listed(sorted(labels))}" for side, labels in sides if labels)


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(map(repr, labels[:5])) + (", ..." if len(labels) > 5 else "")
