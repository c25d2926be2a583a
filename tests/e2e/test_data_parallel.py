"""Two processes under torchrun train the model that one process trains, each on half of every batch."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file

from tests.fakes.commands import finished, python_m
from tests.fakes.tiny_encoder import toy_rows, write_rows, write_tiny_encoder
from training.run import RunDirectory

PROCESSES = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]


def command(folder: Path, name: str, *more: str) -> list[str]:
    options = ["--data", str(folder / "rows.csv"), "--model", str(folder / "encoder"), "--name", name]
    unmeasured = ["--robustness-rows", "0", "--explained-rows", "0"]
    return ["training", "fit", *options, *unmeasured, "--out", str(folder / "runs"), "--threads", "1", *more]


def without_dropout(encoder: Path) -> None:
    """Each process draws its own masks, so that only without them can weights be the same."""
    config = json.loads((encoder / "config.json").read_text(encoding="utf-8"))
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (encoder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def weights_in(checkpoint: Path) -> dict[str, torch.Tensor]:
    """Of encoder and head."""
    head = load_file(checkpoint / "head.safetensors")
    return {**load_file(checkpoint / "model.safetensors"), **{f"head.{name}": head[name] for name in head}}


def test_two_processes_train_the_model_of_one(tmp_path: Path) -> None:
    without_dropout(write_tiny_encoder(tmp_path / "encoder"))
    rows = toy_rows(200)
    # ten whole batches: of the rest of an epoch processes would get unequal shares
    write_rows(tmp_path / "rows.csv", rows[:160])
    splits = ["--validation", str(write_rows(tmp_path / "validation.csv", rows[160:180]))]
    splits += ["--test", str(write_rows(tmp_path / "test.csv", rows[180:]))]
    (tmp_path / "plain.yaml").write_text("dropout: 0.0\nlearning_rate: 0.003\nepochs: 2", encoding="utf-8")
    options = ["--config", str(tmp_path / "plain.yaml"), "--batch-size", "16", *splits]
    finished(*command(tmp_path, "one", *options))
    python_m(*PROCESSES, *command(tmp_path, "two", *options))
    one, two = RunDirectory(tmp_path / "runs" / "one"), RunDirectory(tmp_path / "runs" / "two")
    first, second = one.record(), two.record()
    assert first is not None
    assert second is not None
    assert first.metrics["test"]["accuracy"] == second.metrics["test"]["accuracy"]
    weights, others = (weights_in(run.checkpoint) for run in (one, two))
    assert weights.keys() == others.keys()
    furthest = max((weights[name] - others[name]).abs().max().item() for name in weights)
    start = load_file(tmp_path / "encoder" / "model.safetensors")
    moved = max((weights[name] - start[name]).abs().max().item() for name in start.keys() & weights.keys())
    assert furthest < moved / 100
    assert not list((two.root / "trainer").glob("checkpoint-*"))
