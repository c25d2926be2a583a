"""A complete run stays until another one can take its place, and what a run reads is never what it overwrites."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.fakes.tiny_encoder import toy_rows, write_rows, write_tiny_encoder
from training.attempts import discard_other_attempt
from training.embedding.fitting import fit_encoder
from training.failures import InvalidSettings, TrainingFailure
from training.fine_tuning import fine_tune
from training.run import RunDirectory
from training.settings_reading import load_settings

GROUPS = ("data", "distillation", "out_of_scope")


def finished(folder: Path) -> RunDirectory:
    """What a complete run leaves, as far as it matters here."""
    run = RunDirectory(folder / "runs" / "news")
    discard_other_attempt(run, "before")
    write_tiny_encoder(run.checkpoint)
    run.data.mkdir()
    (run.data / "train.jsonl").write_text('{"text": "goal", "label": "sports"}\n' * 20, encoding="utf-8")
    run.record_path.write_text("{}", encoding="utf-8")
    return run


def fit(folder: Path, run: RunDirectory, **said: Any) -> None:
    """As the command does, with a few rows and a tiny encoder where nothing else is said."""
    rows = write_rows(folder / "rows.csv", toy_rows(60))
    groups = {name: said.pop(name, {}) for name in GROUPS}
    encoder = write_tiny_encoder(folder / "encoder")
    flags = {"name": "news", "model": str(encoder), "epochs": 1, **said}
    settings = load_settings(None, flags, {"path": str(rows), **groups.pop("data")}, groups)
    step = fit_encoder if settings.task == "embedding" else fine_tune
    step(settings, run, "another", Console(quiet=True))


def state(run: RunDirectory) -> dict[str, bytes]:
    return {str(path.relative_to(run.root)): path.read_bytes() for path in run.root.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "mistake",
    [
        {"data": {"text": "nowhere"}},
        {"data": {"label": "nowhere"}},
        {"model": "./nowhere"},
        {"out_of_scope": {"path": "nowhere.txt"}},
        {"task": "embedding", "data": {"text": "nowhere"}},
        {"task": "embedding", "model": "./nowhere"},
        {"task": "embedding", "data": {"relation": "score"}},
        {"task": "embedding", "batch_size": 2},
        {"method": "prefix", "prefix_length": 512},
        {"method": "adalora", "batch_size": 32},
        {"task": "embedding", "method": "adapters"},
    ],
    ids=str,
)
def test_a_mistake_leaves_a_complete_run_as_it_was(mistake: dict[str, Any], tmp_path: Path) -> None:
    run = finished(tmp_path)
    before = state(run)
    with pytest.raises(TrainingFailure):
        fit(tmp_path, run, **mistake)
    assert state(run) == before
    assert list(run.root.parent.iterdir()) == [run.root]


@pytest.mark.parametrize("task", ["single_label_classification", "embedding"])
def test_a_complete_run_waits_until_another_one_is_complete(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished(tmp_path)
    before = state(run)
    waiting = RunDirectory(run.root.parent / ".news.earlier")

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("training.embedding.fitting.complete", killed)
        patch.setattr("training.fine_tuning.complete", killed)
        fit(tmp_path, run, task=task)
    assert run.checkpoint.is_dir() and not run.record_path.exists()
    assert state(waiting) == before
    with pytest.raises(TrainingFailure):
        fit(tmp_path, run, task=task, data={"text": "nowhere"})
    assert state(waiting) == before
    fit(tmp_path, run, task=task)
    assert run.record() is not None
    assert list(run.root.parent.iterdir()) == [run.root]


@pytest.mark.parametrize(
    "said",
    [
        lambda run: {"data": {"path": str(run.data / "train.jsonl")}},
        lambda run: {"data": {"test_path": str(run.data / "train.jsonl")}},
        lambda run: {"model": str(run.checkpoint)},
        lambda run: {"out_of_scope": {"path": str(run.data / "train.jsonl")}},
        lambda run: {"distillation": {"teachers": ["elsewhere"], "unlabelled": [str(run.data / "train.jsonl")]}},
        lambda run: {"distillation": {"teachers": [f"{run.root}/../news"]}},
        lambda run: {"task": "embedding", "model": str(run.checkpoint)},
    ],
)
def test_what_lies_in_the_run_that_is_written_is_no_input(said: Any, tmp_path: Path) -> None:
    run = finished(tmp_path)
    before = state(run)
    with pytest.raises(InvalidSettings, match=r"is an input, and would be overwritten .*: choose another name"):
        fit(tmp_path, run, **said(run))
    assert state(run) == before
