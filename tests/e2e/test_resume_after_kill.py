"""A training process is killed in the middle of an epoch; the same command goes on and ends where it would have ended."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.fakes.commands import finished, kill_after_a_checkpoint, python_m
from tests.fakes.tiny_encoder import toy_rows, write_rows, write_tiny_encoder

EPOCHS = 4
REUSED = "data, settings and code are those of"


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("resume")
    return write_rows(folder / "rows.csv", toy_rows(900)), write_tiny_encoder(folder / "encoder")


def command(data: Path, encoder: Path, out: Path, every_s: str) -> list[str]:
    options = [
        "--epochs",
        str(EPOCHS),
        "--batch-size",
        "8",
        "--learning-rate",
        "1e-3",
        "--early-stopping-patience",
        "99",
    ]
    fit = ["training", "fit", "--data", str(data), "--name", "toy", "--model", str(encoder)]
    unmeasured = ["--robustness-rows", "0", "--explained-rows", "0"]  # of the report, which is another matter
    return [*fit, "--out", str(out), *options, *unmeasured, "--checkpoint-every-s", every_s, "--threads", "1"]


def kill_in_mid_epoch(arguments: list[str], trainer: Path, steps_per_epoch: int) -> int:
    """Kills it past a checkpoint inside an epoch that is not the first; returns the checkpoint's step."""
    return kill_after_a_checkpoint(
        arguments, trainer, lambda step: step > steps_per_epoch and step % steps_per_epoch != 0
    )


def test_a_killed_run_resumes_and_ends_with_the_same_weights(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    finished(*command(*inputs, whole, "0.2"))
    arguments = command(*inputs, cut, "0.2")
    step = kill_in_mid_epoch(arguments, cut / "toy" / "trainer", 90)
    assert not (cut / "toy" / "run.json").exists()

    output = finished(*arguments)

    assert "resuming from checkpoint-" in output
    resumed_at = int(output.partition("resuming from checkpoint-")[2].split()[0])
    assert resumed_at >= step
    records = [json.loads((folder / "toy" / "run.json").read_text(encoding="utf-8")) for folder in (whole, cut)]
    assert records[0]["metrics"] == records[1]["metrics"]
    assert records[0]["temperature"] == records[1]["temperature"]
    for name in ("model.safetensors", "head.safetensors"):
        expected, actual = (load_file(folder / "toy" / "checkpoint" / name) for folder in (whole, cut))
        assert expected.keys() == actual.keys()
        assert all(bool((expected[key] == actual[key]).all()) for key in expected), name


def test_a_finished_run_is_reused_until_something_changes(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    data, encoder = inputs
    arguments = command(data, encoder, tmp_path, "60")
    arguments[arguments.index("--epochs") + 1] = "1"
    python_m(*arguments)
    first = (tmp_path / "toy" / "run.json").read_text(encoding="utf-8")

    assert REUSED in finished(*arguments)
    assert (tmp_path / "toy" / "run.json").read_text(encoding="utf-8") == first

    assert REUSED not in finished(*arguments, "--anew")
    assert (tmp_path / "toy" / "run.json").read_text(encoding="utf-8") != first
    assert REUSED not in finished(*arguments, "--seed", "14")
