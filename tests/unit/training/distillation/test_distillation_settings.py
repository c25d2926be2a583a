"""Which settings of distillation make sense, and that what teaches is part of what a run depends on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
from typer.testing import CliRunner

from training.__main__ import app
from training.dataset import TaskName
from training.distillation.imitation import IMITATIONS
from training.failures import InvalidSettings
from training.reuse import step_fingerprint
from training.settings_reading import load_settings


def loaded(flags: dict[str, Any], file: Path | None = None) -> Any:
    return load_settings(file, {"name": "student"}, {"path": "rows.csv"}, {"distillation": flags})


def test_without_teachers_there_is_no_distillation() -> None:
    assert loaded({}).distillation is None


@pytest.mark.parametrize("flags", [{"layers": 3}, {"unlabelled": ["more.csv"]}, {"weight": 0.5, "teachers": []}])
def test_what_needs_a_teacher_asks_for_one(flags: dict[str, Any]) -> None:
    with pytest.raises(InvalidSettings, match=r"no teacher; give .* --teacher RUN"):
        loaded(flags)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"hidden_weight": 1.0}, "hidden_weight needs layers"),
        ({"teachers": ["a", "a"]}, "named twice"),
        ({"weight": 1.5}, "distillation.weight: .*less than or equal to 1"),
        ({"temperature": 0.0}, "distillation.temperature: .*greater than 0"),
        ({"layers": 0}, "distillation.layers: .*greater than or equal to 1"),
    ],
)
def test_settings_that_make_no_sense_are_named(flags: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSettings, match=message):
        loaded({"teachers": ["a"], **flags})


@pytest.mark.parametrize("task", get_args(TaskName))
def test_a_task_is_distilled_or_refuses_teachers(task: TaskName) -> None:
    def settings() -> Any:
        flags = {"name": "student", "task": task}
        return load_settings(None, flags, {"path": "rows.csv"}, {"distillation": {"teachers": ["a"]}})

    if task in IMITATIONS:
        assert settings().distillation.teachers == ("a",)
    else:
        with pytest.raises(InvalidSettings, match=f"{task} cannot be distilled: single_label_classification and"):
            settings()


def test_hidden_states_count_by_themselves_where_the_student_is_made_of_layers() -> None:
    assert loaded({"teachers": ["a"], "layers": 3}).distillation.weight_of_hidden == 1.0
    assert loaded({"teachers": ["a"], "layers": 3, "hidden_weight": 0.0}).distillation.weight_of_hidden == 0.0
    assert loaded({"teachers": ["a"]}).distillation.weight_of_hidden == 0.0


def test_a_file_can_hold_them_and_flags_win(tmp_path: Path) -> None:
    file = tmp_path / "student.yaml"
    file.write_text("distillation: {teachers: [runs/a, runs/b], temperature: 4}\n", encoding="utf-8")
    found = loaded({"temperature": 3.0}, file).distillation
    assert (found.teachers, found.temperature) == (("runs/a", "runs/b"), 3.0)
    file.write_text("distillation: runs/a\n", encoding="utf-8")
    with pytest.raises(InvalidSettings, match=r"with data, .* as groups"):
        loaded({}, file)


def test_a_run_depends_on_what_its_teachers_are_not_on_where_they_are(tmp_path: Path) -> None:
    def teacher(folder: Path, weights: bytes) -> str:
        (folder / "checkpoint").mkdir(parents=True)
        (folder / "run.json").write_text("{}", encoding="utf-8")
        (folder / "checkpoint" / "model.safetensors").write_bytes(weights)
        return str(folder)

    here, there = teacher(tmp_path / "here", b"one"), teacher(tmp_path / "there", b"one")
    other = teacher(tmp_path / "other", b"another")
    first = step_fingerprint(loaded({"teachers": [here]}))
    assert first == step_fingerprint(loaded({"teachers": [there]}))
    assert first != step_fingerprint(loaded({"teachers": [other]}))
    assert first != step_fingerprint(loaded({"teachers": [here], "temperature": 5.0}))
    more = tmp_path / "more.csv"
    more.write_text("text\none\n", encoding="utf-8")
    with_texts = step_fingerprint(loaded({"teachers": [here], "unlabelled": [str(more)]}))
    more.write_text("text\nanother\n", encoding="utf-8")
    assert with_texts != step_fingerprint(loaded({"teachers": [here], "unlabelled": [str(more)]}))


def test_a_search_refuses_teachers(tmp_path: Path) -> None:
    file = tmp_path / "student.yaml"
    file.write_text("name: student\ndistillation: {teachers: [runs/a]}\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["search", "--config", str(file), "--data", "rows.csv"])
    assert result.exit_code == 2
    assert "a search trains on labels alone" in result.output
