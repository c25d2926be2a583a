"""The export benchmark measures a real published run beside Optimum's file and PyTorch, in a real process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.contenders import Contender
from tests.fakes.commands import ended, finished
from tests.fakes.tiny_encoder import toy_rows, write_rows, write_tiny_encoder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, and its bundle in the registry beside it."""
    folder = tmp_path_factory.mktemp("bench")
    data, encoder = write_rows(folder / "rows.csv", toy_rows(200)), write_tiny_encoder(folder / "encoder")
    options = ("--model", str(encoder), "--epochs", "2", "--threads", "1", "--out", str(folder / "runs"))
    finished("training", "fit", "--data", str(data), "--name", "toy", *options)
    finished("export", "bundle", "--run", str(folder / "runs" / "toy"), "--registry", str(folder / "models"), *LABEL)
    return folder / "runs" / "toy"


LABEL = ("--label", "stable")


def test_every_published_file_is_measured_beside_optimums_and_pytorch(run: Path, tmp_path: Path) -> None:
    registry = str(run.parent.parent / "models")
    options = ("--registry", registry, "--rounds", "2", "--rows", "16", "--out", str(tmp_path))
    told = finished("benchmarks.exporting", "--run", str(run), *options)
    stored = json.loads((tmp_path / "export.json").read_text(encoding="utf-8"))
    races = {race["name"]: race for race in stored["runs"]["toy"]}
    assert list(races)[:2] == [Contender.PYTORCH, Contender.OPTIMUM]
    assert {"fp32"} < set(races) - {Contender.PYTORCH, Contender.OPTIMUM}
    assert races[Contender.PYTORCH]["agreement"] == races["fp32"]["agreement"] == 1
    assert races[Contender.PYTORCH]["size_bytes"] is None
    assert races[Contender.OPTIMUM]["size_bytes"] > 0
    assert all(len(race[way]["rates"]) == 2 for race in races.values() for way in ("batched", "alone"))
    assert all(0 <= race[share] <= 1 for race in races.values() for share in ("score", "agreement", "drift"))
    page = (tmp_path / "export.md").read_text(encoding="utf-8")
    assert "1.00 (1.00 to 1.00)" in page
    assert Contender.OPTIMUM in told


def test_a_run_that_was_not_exported_is_a_message(run: Path, tmp_path: Path) -> None:
    told = ended("benchmarks.exporting", "--run", str(run), "--registry", str(tmp_path))
    assert told.status == 2
    assert "benchmark:" in told.output
    assert "'toy'" in told.output
