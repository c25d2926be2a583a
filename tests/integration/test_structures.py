"""Smaller networks of a real tiny run, and its student, stand in its bundle, proven beside it; what does not fit is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from export.__main__ import app
from export.bundle import Bundle
from export.bundling import Exporter, export_run
from export.failures import ExportFailure
from export.golden_check import golden_faults
from export.registry import Registry
from export.reuse import step_fingerprint
from export.settings import ExportSettings, Gate
from export.structure.students import students_of
from export.variants import Candidate
from tests.fakes.tiny_encoder import toy_rows, write_rows, write_tiny_encoder
from training.fine_tuning import fine_tune
from training.progress import Steps
from training.reuse import step_fingerprint as training_fingerprint
from training.run import RunDirectory, RunRecord
from training.settings_reading import load_settings

QUIET = Console(quiet=True)
FLAGS = {"epochs": 8, "learning_rate": 3e-3, "batch_size": 16}
Run = tuple[RunDirectory, RunRecord]
# on some forty rows a single one is two points
GATE = Gate(max_drop=6.0, min_agreement=0.9)


class Place:
    """A folder with an encoder, data and runs."""

    def __init__(self, folder: Path) -> None:
        self.encoder = write_tiny_encoder(folder / "encoder", words=["мир", "##ир", "ね"])
        self.data = write_rows(folder / "rows.csv", toy_rows(400))
        self.runs = folder / "runs"

    def fit(self, name: str, distillation: dict[str, Any] | None = None, **flags: Any) -> Run:
        how = distillation or {}
        model = {} if how else {"model": str(self.encoder)}
        settings = load_settings(
            None, {"name": name, **FLAGS, **model, **flags}, {"path": str(self.data)}, {"distillation": how}
        )
        run = RunDirectory(self.runs / name)
        return run, fine_tune(settings, run, training_fingerprint(settings), QUIET)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("structures"))


@pytest.fixture(scope="module")
def full(place: Place) -> Run:
    return place.fit("full")


@pytest.fixture(scope="module")
def student(place: Place, full: Run) -> Run:
    return place.fit("student", {"teachers": [str(full[0].root)], "layers": 1})


@pytest.fixture(scope="module")
def published(full: Run, student: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, list[Candidate]]:
    settings = ExportSettings(
        gate=GATE,
        structures=("heads-50", "neurons-25"),
        candidate_runs=(student[0].root,),
        trim_vocabulary=True,
        calibration_rows=64,
        structure_rows=64,
    )
    registry = Registry(str(tmp_path_factory.mktemp("models")))
    return export_run(*full, registry, settings, step_fingerprint(full[1], settings), Steps(QUIET))


def test_smaller_networks_and_the_student_stand_beside_the_full_one(
    published: tuple[Bundle, list[Candidate]], student: Run
) -> None:
    bundle, _ = published
    variants = {variant.name: variant for variant in bundle.manifest.variants}
    assert {"fp32", "heads-50-fp32", "neurons-25-fp32", "student-fp32"} <= set(variants)
    assert any(name.startswith("student-int8") for name in variants)
    full = variants["fp32"]
    assert (full.structure, full.temperature) == (None, None)
    for name in ("heads-50-fp32", "neurons-25-fp32", "student-fp32"):
        variant = variants[name]
        assert variant.structure is not None and variant.temperature is not None
        assert variant.file.size_bytes < full.file.size_bytes
        # beside itself exact, beside the checkpoint within the budget
        assert variant.structure.max_logit_difference < 1e-4 < variant.parity.max_logit_difference
        assert variant.parity.agreement >= 0.9
        assert variant.parity.drop <= 6.0
        assert bundle.manifest.temperature_of(variant) == variant.temperature
    lacks = variants["student-fp32"].structure
    assert lacks is not None and lacks.lacks["run"] == "student"
    assert variants["student-fp32"].temperature == pytest.approx(student[1].temperature, rel=1e-3)
    graph = onnx.load(bundle.file(variants["heads-50-fp32"].file))
    heads = [
        a.i for node in graph.graph.node if node.op_type == "Attention" for a in node.attribute if a.name == "num_heads"
    ]
    assert len(heads) == 2 and sum(heads) == 2
    assert golden_faults(bundle) == {}


def test_the_card_names_other_networks_and_scripts_that_went(published: tuple[Bundle, list[Candidate]]) -> None:
    bundle, _ = published
    manifest = bundle.manifest
    assert manifest.vocabulary is not None
    assert manifest.vocabulary.scripts == ["Cyrillic", "Hiragana"]
    assert manifest.vocabulary.tokens == manifest.vocabulary.tokens_before - 3
    card = bundle.file(manifest.model_card).read_text(encoding="utf-8")
    assert "- heads-50-fp32: without heads 0.5; " in card
    assert "- student-fp32: run student; " in card
    assert "Cyrillic, Hiragana" in card


def changed(run: RunDirectory, folder: Path, **fields: Any) -> Path:
    """A copy of a run whose record says otherwise."""
    shutil.copytree(run.root, folder)
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    (folder / "run.json").write_text(json.dumps({**record, **fields}), encoding="utf-8")
    return folder


def test_what_loses_too_much_is_refused_with_its_figures_and_not_quantized(
    full: Run, student: Run, tmp_path: Path
) -> None:
    folder = changed(student[0], tmp_path / "spoiled", name="spoiled")
    head = folder / "checkpoint" / "head.safetensors"
    weights = load_file(head)
    save_file({**weights, "bias": weights["bias"] + torch.tensor([0.0, 0.0, 90.0])}, head)
    work = tmp_path / "work"
    work.mkdir()
    settings = ExportSettings(calibration_rows=16, candidate_runs=(folder,))
    candidates = Exporter(*full, settings, work, Steps(QUIET)).candidates()
    (spoiled,) = [each for each in candidates if each.variant.structure is not None]
    assert spoiled.variant.name == "spoiled-fp32"
    assert not spoiled.passed
    # its graph is right, its answers are not
    assert spoiled.variant.structure is not None and spoiled.variant.structure.max_logit_difference < 1e-4
    reasons = " ".join(spoiled.variant.parity.reasons)
    assert "is below 90.00 %" in reasons and "points, more than 1.00" in reasons


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"task": "multi_label_classification"}, "learned multi_label_classification, full learned single_label"),
        ({"labels": ["economy", "sports", "weather"]}, "it alone has 'weather'; it lacks 'technology'"),
        ({"labels": ["sports", "economy", "technology"]}, "the same in another order"),
        ({"max_length": 32}, "up to 32 tokens"),
        ({"name": "full"}, "another name"),
        ({"name": "heads-25"}, "another name"),
        ({"name": "x" * 41}, "shorter --name"),
    ],
)
def test_a_run_that_does_not_fit_is_refused(
    full: Run, student: Run, tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    folder = changed(student[0], tmp_path / "other", **fields)
    with pytest.raises(ExportFailure, match=message):
        students_of([folder], *full)


def test_a_student_that_learned_from_judged_texts_is_refused(full: Run, student: Run, tmp_path: Path) -> None:
    folder = changed(student[0], tmp_path / "other", data_fingerprint="0" * 64)
    # other data that shares no judged text is no harm
    assert [each.name for each in students_of([folder], *full)] == ["student"]
    judged = (full[0].data / "validation.jsonl").read_text(encoding="utf-8").splitlines()[:3]
    with (folder / "data" / "train.jsonl").open("a", encoding="utf-8") as file:
        file.write("\n".join(judged) + "\n")
    with pytest.raises(ExportFailure, match="trained on 3 of the texts that full is judged by"):
        students_of([folder], *full)


def test_a_student_with_another_tokenizer_is_refused(full: Run, student: Run, tmp_path: Path) -> None:
    folder = changed(student[0], tmp_path / "other")
    path = folder / "checkpoint" / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["model"]["vocab"]["more"] = len(content["model"]["vocab"])
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ExportFailure, match="another tokenizer"):
        students_of([folder], *full)


def test_a_candidate_run_that_changed_is_exported_anew(full: Run, student: Run, tmp_path: Path) -> None:
    folder = changed(student[0], tmp_path / "other")
    settings = ExportSettings(candidate_runs=(folder,))
    before = step_fingerprint(full[1], settings)
    assert before != step_fingerprint(full[1], ExportSettings())
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    (folder / "run.json").write_text(
        json.dumps({**record, "create_time": "2030-01-01T00:00:00+00:00"}), encoding="utf-8"
    )
    assert step_fingerprint(full[1], settings) != before


def test_the_command_says_what_it_does_not_know(full: Run, tmp_path: Path) -> None:
    asked = ["bundle", "--run", str(full[0].root), "--registry", str(tmp_path), "--structures", "heads-26"]
    answer = CliRunner().invoke(app, asked)
    assert answer.exit_code == 2
    assert "unknown structure heads-26" in " ".join(answer.output.split())
    answer = CliRunner().invoke(app, [*asked[:-1], "layers-1", "--candidate-run", str(tmp_path / "nothing")])
    assert answer.exit_code == 2
    assert "not a complete run" in " ".join(answer.output.split())
