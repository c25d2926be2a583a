"""Whatever is trained, a run that is cut off in mid-epoch goes on and ends where it would have ended."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from tests.fakes.cut_off import cut_off_after
from tests.fakes.tiny_encoder import toy_rows, write_rows, write_tiny_encoder
from tests.fakes.tiny_questions import write_questions
from training.fine_tuning import fine_tune
from training.reuse import step_fingerprint
from training.run import RunDirectory, RunRecord
from training.settings_reading import load_settings

FLAGS = {"epochs": 3, "batch_size": 8, "learning_rate": 1e-3}


class Place:
    """A folder with rows, an encoder and runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows = write_rows(folder / "rows.csv", toy_rows(300))
        self.encoder = write_tiny_encoder(folder / "encoder")

    def fit(self, name: str, data: Path, groups: dict[str, Any], **flags: Any) -> tuple[RunDirectory, RunRecord, str]:
        """The run, its record, and what was printed."""
        console = Console(file=io.StringIO(), width=200)
        chosen = {"name": name, "model": str(self.encoder), **FLAGS, **flags}
        settings = load_settings(None, chosen, {"path": str(data)}, groups)
        run = RunDirectory(self.folder / "runs" / name)
        record = fine_tune(settings, run, step_fingerprint(settings), console)
        return run, record, console.file.getvalue()  # type: ignore[attr-defined]  # it is a StringIO

    def ends_alike(self, name: str, step: int, data: Path, groups: dict[str, Any] | None = None, **flags: Any) -> str:
        """Trains it whole and cut off after a step within the second epoch; returns what the resumed run printed."""
        whole, expected, _ = self.fit(f"{name}-whole", data, groups or {}, **flags)
        with cut_off_after(step):
            self.fit(f"{name}-cut", data, groups or {}, **flags)
        trainer = RunDirectory(self.folder / "runs" / f"{name}-cut").trainer
        state = json.loads((trainer / f"checkpoint-{step}" / "trainer_state.json").read_text(encoding="utf-8"))
        assert 1 < state["epoch"] < 2
        cut, actual, printed = self.fit(f"{name}-cut", data, groups or {}, **flags)
        assert f"resuming from checkpoint-{step} " in printed
        assert actual.metrics == expected.metrics
        assert actual.temperature == expected.temperature
        files = {path.name for path in whole.checkpoint.glob("*.safetensors")}
        assert files >= {"model.safetensors", "head.safetensors"}
        assert files == {path.name for path in cut.checkpoint.glob("*.safetensors")}
        for file in files:
            first, second = (load_file(run.checkpoint / file) for run in (whole, cut))
            assert first.keys() == second.keys()
            assert all(torch.equal(first[key], second[key]) for key in first), file
        return printed


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("resume"))


@pytest.mark.parametrize("method", ["adalora", "adapters"])
def test_a_run_of_another_method_ends_with_the_same_weights(place: Place, method: str) -> None:
    place.ends_alike(method, 45, place.rows, method=method)
    added = RunDirectory(place.folder / "runs" / "adapters-whole").checkpoint / "addition.safetensors"
    assert method != "adapters" or added.is_file()


def test_so_does_one_whose_batches_hold_whole_queries(place: Place) -> None:
    questions = write_questions(place.folder / "questions.csv", queries=60)
    # 48 queries of 5 candidates to train on, two in a batch
    place.ends_alike("ranking", 36, questions, task="pair_scoring", loss="listwise_softmax", batch_size=10)


def test_so_does_a_student_and_its_teacher_is_not_asked_again(place: Place) -> None:
    teacher, _, _ = place.fit("teacher", place.rows, {}, epochs=1)
    texts = place.folder / "texts.csv"
    lines = [f"good news of {number} in and {number * number}" for number in range(80)]
    texts.write_text("\n".join(["text", *lines]) + "\n", encoding="utf-8")
    lesson = {"teachers": (str(teacher.root),), "layers": 1, "unlabelled": (str(texts),)}
    printed = place.ends_alike("student", 60, place.rows, {"distillation": lesson})
    assert "asking teacher" not in printed
