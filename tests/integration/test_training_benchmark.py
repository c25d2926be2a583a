"""The training benchmark trains the same rows by both recipes, in real processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.fakes.tiny_encoder import toy_rows, write_rows, write_tiny_encoder


def bench(data: Path, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.training", "--data", str(data), "--out", str(folder / "report"), *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


def test_both_recipes_train_the_same_rows(tmp_path: Path) -> None:
    encoder = write_tiny_encoder(tmp_path / "encoder")
    data = write_rows(tmp_path / "rows.csv", [*toy_rows(150), ("one of its class alone", "rare")])
    ended = bench(data, tmp_path, "--model", str(encoder), "--rounds", "1", "--threads", "1", "--rows", "120")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    report = json.loads((tmp_path / "report" / "training.json").read_text(encoding="utf-8"))
    (fit,), (plain,) = report["epochs"]["fit"], report["epochs"]["plain"]
    assert fit["rows"] == plain["rows"] == report["training rows"] > 90
    assert min(fit["seconds"], plain["seconds"], fit["peak_bytes"], plain["peak_bytes"]) > 0
    assert "plain |" in (tmp_path / "report" / "training.md").read_text(encoding="utf-8")


def test_data_that_cannot_be_read_is_a_message(tmp_path: Path) -> None:
    ended = bench(tmp_path / "nowhere.csv", tmp_path)
    assert ended.returncode == 2
    assert "benchmark:" in ended.stderr
    assert "nowhere.csv" in ended.stderr
