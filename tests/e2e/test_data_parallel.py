"""Two processes under torchrun train the model that one process trains, each on half of every batch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

from tests.fakes.tiny_encoder import toy_rows, write_rows, write_tiny_encoder
from training.run import RunDirectory

PROCESSES = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def fit(launcher: list[str], folder: Path, name: str, *more: str) -> subprocess.CompletedProcess[str]:
    options = ["--data", str(folder / "rows.csv"), "--model", str(folder / "encoder"), "--name", name]
    unmeasured = ["--robustness-rows", "0", "--explained-rows", "0"]
    training = ["-m", "training", "fit", *options, *unmeasured, "--out", str(folder / "runs"), "--threads", "1", *more]
    return subprocess.run(
        [sys.executable, *launcher, *training], capture_output=True, text=True, timeout=280, check=False
    )


def without_dropout(encoder: Path) -> None:
    """Each process draws its own masks, so that only without them can weights be the same."""
    config = json.loads((encoder / "config.json").read_text(encoding="utf-8"))
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (encoder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def test_two_processes_train_the_model_of_one(tmp_path: Path) -> None:
    without_dropout(write_tiny_encoder(tmp_path / "encoder"))
    rows = toy_rows(200)
    # ten whole batches: of the rest of an epoch processes would get unequal shares
    write_rows(tmp_path / "rows.csv", rows[:160])
    splits = ["--validation", str(write_rows(tmp_path / "validation.csv", rows[160:180]))]
    splits += ["--test", str(write_rows(tmp_path / "test.csv", rows[180:]))]
    (tmp_path / "plain.yaml").write_text("dropout: 0.0\nlearning_rate: 0.003\nepochs: 2", encoding="utf-8")
    options = ["--config", str(tmp_path / "plain.yaml"), "--batch-size", "16", *splits]
    for name, launcher in (("one", []), ("two", PROCESSES)):
        ended = fit(launcher, tmp_path, name, *options)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    one, two = RunDirectory(tmp_path / "runs" / "one"), RunDirectory(tmp_path / "runs" / "two")
    first, second = one.record(), two.record()
    assert first is not None
    assert second is not None
    assert first.metrics["test"]["accuracy"] == second.metrics["test"]["accuracy"]
    weights, others = (load_file(run.checkpoint / "model.safetensors") for run in (one, two))
    furthest = max((weights[name] - others[name]).abs().max().item() for name in weights)
    start = load_file(tmp_path / "encoder" / "model.safetensors")
    moved = max((weights[name] - start[name]).abs().max().item() for name in weights)
    assert furthest < moved / 100
    assert not list((two.root / "trainer").glob("checkpoint-*"))
    assert torch.equal(
        load_file(two.checkpoint / "head.safetensors")["bias"].isfinite(), torch.ones(3, dtype=torch.bool)
    )


def test_a_batch_that_cannot_be_shared_is_a_message(tmp_path: Path) -> None:
    write_tiny_encoder(tmp_path / "encoder")
    write_rows(tmp_path / "rows.csv", toy_rows(60))
    ended = fit(PROCESSES, tmp_path, "odd", "--batch-size", "15")
    assert ended.returncode != 0
    assert "batch_size 15 cannot be shared by 2 processes" in ended.stdout + ended.stderr
