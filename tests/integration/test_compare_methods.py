"""The comparison of methods trains in real processes and tells what each costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.fakes.tiny_encoder import toy_rows, write_rows, write_tiny_encoder
from training.run import RunDirectory


def compare(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    encoder = write_tiny_encoder(folder / "encoder")
    data = write_rows(folder / "rows.csv", toy_rows(150))
    command = [sys.executable, "-m", "training", "compare-methods", "--name", "toy", "--out", str(folder / "runs")]
    options = ["--data", str(data), "--model", str(encoder), "--epochs", "2", "--batch-size", "16", "--threads", "1"]
    return subprocess.run([*command, *options, *more], capture_output=True, text=True, timeout=240, check=False)


def test_each_method_has_its_row(tmp_path: Path) -> None:
    ended = compare(tmp_path, "--methods", "lora,frozen")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    rows = {
        line.split()[0]: line.split()
        for line in ended.stdout.splitlines()
        if line.split()[:1] in (["lora"], ["frozen"])
    }
    assert set(rows) == {"lora", "frozen"}
    # the head alone: 32 weights and a bias for each of three labels
    assert rows["frozen"][1] == "99"
    assert int(rows["lora"][1].replace(",", "")) > 1000
    for method in rows:
        record = RunDirectory(tmp_path / "runs" / f"toy-{method}").record()
        assert record is not None
        assert record.config["method"] == method
        assert record.effort is not None
        assert record.effort.epochs == 2
        assert record.effort.seconds_per_epoch > 0


def test_an_unknown_method_and_a_failing_run_are_explained(tmp_path: Path) -> None:
    unknown = compare(tmp_path, "--methods", "full,magic")
    assert unknown.returncode == 2
    assert "there is no method magic" in unknown.stdout
    failing = compare(tmp_path, "--methods", "full", "--label", "nowhere")
    assert failing.returncode == 2
    assert "could not be trained" in failing.stdout
