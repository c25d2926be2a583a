"""The comparison of methods trains in real processes and tells what each costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import get_args

from tests.fakes.tiny_encoder import toy_rows, write_rows, write_tiny_encoder
from training.method_comparison import METHODS, chosen
from training.run import RunDirectory
from training.settings import Method


def compare(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    encoder = write_tiny_encoder(folder / "encoder")
    data = write_rows(folder / "rows.csv", toy_rows(150))
    command = [sys.executable, "-m", "training", "compare-methods", "--name", "toy", "--out", str(folder / "runs")]
    options = ["--data", str(data), "--model", str(encoder), "--epochs", "2", "--batch-size", "16", "--threads", "1"]
    return subprocess.run([*command, *options, *more], capture_output=True, text=True, timeout=240, check=False)


def rows_of(ended: subprocess.CompletedProcess[str]) -> dict[str, list[str]]:
    """The table's rows by method."""
    lines = [line.split() for line in ended.stdout.splitlines()]
    return {cells[0]: cells for cells in lines if cells and cells[0] in METHODS and len(cells) > 5}


def test_each_method_has_its_row(tmp_path: Path) -> None:
    ended = compare(tmp_path, "--methods", "adapters,frozen", "--adapter-reduction-factor", "8")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    rows = rows_of(ended)
    assert list(rows) == ["frozen", "adapters"]
    # the head alone: 32 weights and a bias for each of three labels
    assert rows["frozen"][1] == "99"
    # in each of two layers two bottlenecks of four values
    assert rows["adapters"][1] == f"{99 + 2 * 2 * (2 * 32 * 4 + 32 + 4):,}"
    for method in rows:
        record = RunDirectory(tmp_path / "runs" / f"toy-{method}").record()
        assert record is not None
        assert record.config["method"] == method
        assert record.effort is not None
        assert record.effort.epochs == 2
        assert record.effort.seconds_per_epoch > 0


def test_all_methods_are_compared_unless_some_are_named() -> None:
    assert chosen(None) == list(get_args(Method))
    assert chosen("adapters,full") == ["full", "adapters"]


def test_an_unknown_method_and_a_failing_run_are_explained(tmp_path: Path) -> None:
    unknown = compare(tmp_path, "--methods", "full,magic")
    assert unknown.returncode == 2
    assert "there is no method magic" in unknown.stdout
    failing = compare(tmp_path, "--methods", "full", "--label", "nowhere")
    assert failing.returncode == 2
    assert "could not be trained" in failing.stdout
    assert not rows_of(failing)


def test_earlier_runs_stay_when_the_options_are_wrong_and_folders_of_others_always(tmp_path: Path) -> None:
    before = RunDirectory(tmp_path / "runs" / "toy-full")
    before.trainer.mkdir(parents=True)
    (before.trainer / "fingerprint").write_text("before", encoding="utf-8")
    before.record_path.write_text("{}", encoding="utf-8")
    wrong = compare(tmp_path, "--methods", "full", "--max-length", "0")
    assert wrong.returncode == 2
    assert "max_length" in wrong.stdout
    assert before.record_path.is_file()
    mine = tmp_path / "runs" / "toy-frozen" / "notes.txt"
    mine.parent.mkdir()
    mine.touch()
    refused = compare(tmp_path, "--methods", "frozen")
    assert refused.returncode == 2
    assert "was not made by this command" in " ".join(refused.stdout.split())
    assert mine.is_file()


def test_a_method_that_does_not_fit_costs_the_others_nothing(tmp_path: Path) -> None:
    ended = compare(tmp_path, "--methods", "frozen,prefix", "--prefix-length", "64")
    assert ended.returncode == 2
    assert set(rows_of(ended)) == {"frozen"}
    assert "prefix_length: 64 is more than a text of this encoder can have" in ended.stdout
    assert "method prefix could not be trained" in ended.stdout
