"""Real tiny teachers, and students that learn from them, are exported and proven."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from transformers import AlbertConfig

from export.bundling import export_run
from export.registry import Registry
from export.settings import ExportSettings
from tests.fakes.tiny_encoder import toy_rows, write_rows, write_tiny_encoder
from tests.integration.test_multi_label_run import write_rows as write_rows_of_several_labels
from training.data_settings import DataSettings
from training.dataset import Split
from training.distillation.distiller import Distiller
from training.distillation.teachers import AT_ONCE, find_teachers
from training.failures import InvalidSettings, UnusableData
from training.fine_tuning import fine_tune
from training.heads import SequenceClassifier
from training.preparation import prepare
from training.progress import Steps
from training.reuse import step_fingerprint
from training.run import RunDirectory, RunRecord
from training.settings_reading import load_settings

QUIET = Console(quiet=True)
FLAGS = {"epochs": 8, "learning_rate": 3e-3, "batch_size": 16}
Run = tuple[RunDirectory, RunRecord]


class Place:
    """A folder with an encoder, data and runs."""

    def __init__(self, folder: Path) -> None:
        self.encoder = write_tiny_encoder(folder / "encoder")
        self.data = write_rows(folder / "rows.csv", toy_rows(400))
        self.more = write_rows(folder / "more.csv", toy_rows(460)[300:])
        self.runs = folder / "runs"

    def fit(self, name: str, distillation: dict[str, Any] | None = None, console: Console = QUIET, **flags: Any) -> Run:
        data = str(flags.pop("data", self.data))
        how = distillation or {}
        model = {} if "layers" in how else {"model": str(self.encoder)}
        settings = load_settings(None, {"name": name, **FLAGS, **model, **flags}, {"path": data}, {"distillation": how})
        run = RunDirectory(self.runs / name)
        return run, fine_tune(settings, run, step_fingerprint(settings), console)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("distillation"))


@pytest.fixture(scope="module")
def teacher(place: Place) -> Run:
    return place.fit("teacher")


@pytest.fixture(scope="module")
def student(place: Place, teacher: Run) -> Run:
    how = {"teachers": [str(teacher[0].root)], "layers": 1, "unlabelled": [str(place.more)]}
    return place.fit("student", how)


def test_a_student_of_fewer_layers_keeps_its_teachers_accuracy(teacher: Run, student: Run) -> None:
    run, record = student
    assert teacher[1].metrics["test"]["accuracy"] > 0.95
    assert record.distillation is not None
    assert record.distillation.kept > 0.95
    assert record.distillation.layers == [2]
    (noted,) = record.distillation.teachers
    assert (noted.name, noted.layers) == ("teacher", 2)
    # on the same rows the teacher is judged as it was in its own run
    assert noted.metrics == pytest.approx(teacher[1].metrics["test"], abs=1e-6)
    assert record.distillation.kept == pytest.approx(
        record.metrics["test"]["accuracy"] / teacher[1].metrics["test"]["accuracy"]
    )
    assert record.encoder == teacher[1].encoder
    assert record.effort is not None and teacher[1].effort is not None
    assert record.effort.weights < teacher[1].effort.weights
    assert not list(run.trainer.glob("teacher-*"))


def test_texts_without_labels_are_kept_apart_from_what_is_judged(place: Place, student: Run) -> None:
    run, record = student
    assert record.distillation is not None
    used = {example.text for example in run.examples("unlabelled")}
    assert len(used) == record.distillation.unlabelled >= 60
    left_out = record.distillation.left_out
    # of the hundred rows that are in the data, each is known or held out
    assert left_out["repeated"] + left_out["like validation or test rows"] >= 100
    assert left_out["like validation or test rows"] > 0
    judged = {example.text for split in (Split.VALIDATION, Split.TEST) for example in run.examples(split)}
    assert not used & judged


def test_the_student_is_exported_and_proven_like_any_other_run(student: Run, tmp_path: Path) -> None:
    bundle, _ = export_run(
        *student, Registry(str(tmp_path)), ExportSettings(calibration_rows=64), "0" * 64, Steps(QUIET)
    )
    assert all(variant.parity.passed for variant in bundle.manifest.variants)
    assert bundle.manifest.metrics["fp32"]["accuracy"] == pytest.approx(
        student[1].metrics["test"]["accuracy"], abs=0.02
    )
    assert SequenceClassifier.load(student[0].checkpoint).config.num_hidden_layers == 1


def test_before_training_the_student_is_the_teacher_without_the_layers_left_out(place: Place, teacher: Run) -> None:
    how = {"teachers": [str(teacher[0].root)], "layers": 2}
    settings = load_settings(None, {"name": "copy"}, {"path": str(place.data)}, {"distillation": how})
    assert settings.distillation is not None
    distiller = Distiller(settings, settings.distillation)
    copy = distiller.student(None, teacher[1].labels).eval()  # type: ignore[arg-type]  # the teacher's tokenizer is the student's
    original = SequenceClassifier.load(teacher[0].checkpoint)
    ids = torch.tensor([[2, 7, 9, 3]])
    with torch.inference_mode():
        assert torch.equal(copy(ids, torch.ones_like(ids)), original(ids, torch.ones_like(ids)))


def test_several_teachers_teach_a_student_of_the_same_size(place: Place, teacher: Run) -> None:
    other, _ = place.fit("other", epochs=1, learning_rate=1e-4)
    _, record = place.fit("both", {"teachers": [str(teacher[0].root), str(other.root)], "weight": 1.0})
    assert record.distillation is not None
    assert [each.name for each in record.distillation.teachers] == ["teacher", "other"]
    first, second = (each.metrics["accuracy"] for each in record.distillation.teachers)
    assert second < record.distillation.together["accuracy"] <= first
    assert record.metrics["test"]["accuracy"] > 0.9
    assert record.distillation.layers is None


def test_several_labels_a_text_are_distilled_too(place: Place, tmp_path: Path) -> None:
    flags = {"task": "multi_label_classification", "data": write_rows_of_several_labels(tmp_path / "rows.csv")}
    teacher, _ = place.fit("several", **flags)
    _, record = place.fit("fewer", {"teachers": [str(teacher.root)], "layers": 1}, **flags)
    assert record.distillation is not None
    assert record.distillation.together["micro_f1"] > 0.9
    assert record.distillation.kept > 0.95
    assert record.thresholds is not None


def test_answers_are_asked_for_once(place: Place, teacher: Run, tmp_path: Path) -> None:
    settings = load_settings(
        None, {"name": "x"}, {"path": str(place.data)}, {"distillation": {"teachers": [str(teacher[0].root)]}}
    )
    assert settings.distillation is not None
    (found,) = find_teachers(settings.distillation, settings.task)
    parts = {"train": list(teacher[0].examples(Split.TRAIN)), "test": list(teacher[0].examples(Split.TEST))}
    total = sum(map(len, parts.values()))
    assert AT_ONCE < total < 2 * AT_ONCE
    asked: list[tuple[str, int]] = []
    dies_at = AT_ONCE

    def progress(task: str, done: int, total: int) -> None:
        asked.append((task, done))
        if done == dies_at:
            raise KeyboardInterrupt

    kept = tmp_path / "answers"
    with pytest.raises(KeyboardInterrupt):
        found.answers(parts, kept, progress)
    dies_at = -1
    asked.clear()
    first = found.answers(parts, kept, progress)
    assert asked == [("asking teacher", AT_ONCE), ("asking teacher", total)]
    asked.clear()
    again = found.answers(parts, kept, progress)
    assert not asked
    assert all(np.array_equal(first[part], again[part]) for part in parts)
    assert all(np.array_equal(first[part], found.answers(parts, tmp_path / "anew", progress)[part]) for part in parts)
    assert len(found.answers({"test": parts["test"][1:]}, kept, progress)["test"]) == len(parts["test"]) - 1
    (kept / "0.safetensors").write_bytes(b"cut off")
    assert np.array_equal(found.answers(parts, kept, progress)["test"], first["test"])
    assert first["test"].dtype == np.float32


def broken(teacher: RunDirectory, folder: Path, **changes: object) -> str:
    """A copy of the teacher's run whose record says something else."""
    shutil.copytree(teacher.root, folder)
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    (folder / "run.json").write_text(json.dumps({**record, **changes}), encoding="utf-8")
    return str(folder)


def test_what_is_no_finished_run_of_the_task_cannot_teach(place: Place, teacher: Run, tmp_path: Path) -> None:
    def refused(message: str, folder: str, name: str = "x", **how: Any) -> None:
        with pytest.raises(InvalidSettings, match=message):
            place.fit(name, {"teachers": [folder], **how})

    here = teacher[0]
    refused("does not exist; give the folder of a finished run", str(tmp_path / "nowhere"))
    unfinished = Path(broken(here, tmp_path / "unfinished"))
    (unfinished / "run.json").unlink()
    refused("is not a finished run", str(unfinished))
    refused("run.json cannot be read by this version", broken(here, tmp_path / "newer", schema_version=9))
    refused("learned multi_label_classification", broken(here, tmp_path / "m", task="multi_label_classification"))
    bare = Path(broken(here, tmp_path / "bare"))
    (bare / "checkpoint" / "head.safetensors").unlink()
    refused(r"the checkpoint lacks head\.safetensors", str(bare))
    refused("the teacher teacher has 2, a student cannot be made of 3", str(here.root), layers=3)
    added = Path(broken(here, tmp_path / "added"))
    (added / "checkpoint" / "addition.json").write_text('{"kind": "adapters", "inner": 4}', encoding="utf-8")
    refused("the teacher teacher has adapters or a prefix beside its layers", str(added), layers=1)
    other = Path(broken(here, tmp_path / "albert"))
    (other / "checkpoint" / "config.json").write_text(AlbertConfig(num_hidden_layers=2).to_json_string())
    refused("layers of albert encoders cannot take the places", str(other), layers=1)
    refused("is an input, and would be overwritten", str(here.root), name="teacher")
    assert here.record() is not None


def test_a_student_of_layers_has_the_encoder_and_pooling_of_its_teacher(place: Place, teacher: Run) -> None:
    how = {"teachers": [str(teacher[0].root)], "layers": 1}
    with pytest.raises(InvalidSettings, match="not minilm; leave out --layers or --model"):
        place.fit("x", how, model="minilm")
    with pytest.raises(InvalidSettings, match="pooling: the teacher teacher has cls"):
        place.fit("x", how, pooling="mean")


def test_a_teacher_of_other_labels_or_of_rows_that_are_judged_is_refused(
    place: Place, teacher: Run, tmp_path: Path
) -> None:
    labels = ["economy", "sports", "weather"]
    other = broken(teacher[0], tmp_path / "other", labels=labels)
    with pytest.raises(UnusableData, match="only the teacher has 'weather'; only the data has 'technology'"):
        place.fit("x", {"teachers": [other]})
    with pytest.raises(UnusableData, match="reads pairs of texts, the data has single ones"):
        place.fit("x", {"teachers": [broken(teacher[0], tmp_path / "pair", pair=True)]})
    with pytest.raises(UnusableData, match=r"was trained on \d+ of the texts that the student would be judged by"):
        place.fit("x", {"teachers": [str(teacher[0].root)]}, data=reordered(place, tmp_path))
    assert not RunDirectory(place.runs / "x").checkpoint.exists()


def reordered(place: Place, folder: Path) -> Path:
    """The same rows in other splits: a column says which."""
    dataset = prepare(DataSettings(path=str(place.data), seed=99)).dataset
    lines = [
        f'"{row.text}",{row.label},{split}'
        for split, rows in (("train", dataset.train), ("validation", dataset.validation), ("test", dataset.test))
        for row in rows
    ]
    path = folder / "reordered.csv"
    path.write_text("text,label,split\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_teacher_of_other_data_teaches_if_it_does_not_know_the_rows_that_are_judged(
    place: Place, teacher: Run, tmp_path: Path
) -> None:
    fresh = write_rows(tmp_path / "fresh.csv", toy_rows(300, seed=5))
    _, record = place.fit("elsewhere", {"teachers": [str(teacher[0].root)], "layers": 1}, data=fresh, epochs=2)
    assert record.data_fingerprint != teacher[1].data_fingerprint
    forgetful = Path(broken(teacher[0], tmp_path / "forgetful"))
    shutil.rmtree(forgetful / "data")
    with pytest.raises(UnusableData, match=r"data/train\.jsonl is gone"):
        place.fit("x", {"teachers": [str(forgetful)]}, data=fresh)
