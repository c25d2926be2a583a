"""A pretraining process is killed between two checkpoints; the same command goes on and ends where it would have ended."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import load_file

from tests.fakes.commands import finished, kill_after_a_checkpoint, python_m
from tests.fakes.tiny_corpus import write_corpus

SHAPE = ("--layers", "2", "--hidden-size", "32", "--heads", "2", "--intermediate-size", "64", "--dropout", "0.1")
STEPS = 160
REUSED = "texts, settings and code are those of"


def command(data: Path, out: Path, *more: str) -> list[str]:
    options = ["--vocabulary", "400", "--max-length", "48", "--batch-tokens", "256", "--learning-rate", "3e-3"]
    pretrain = ["training", "pretrain", "--data", str(data), "--name", "tiny", "--out", str(out)]
    return [*pretrain, *SHAPE, *options, "--threads", "1", "--checkpoint-every-s", "0.3", *more]


def test_a_killed_run_resumes_and_ends_with_the_same_weights(tmp_path: Path) -> None:
    data = write_corpus(tmp_path / "texts.txt", 300)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    finished(*command(data, whole, "--steps", str(STEPS), "--gradient-accumulation", "2"))
    again = command(data, cut, "--steps", str(STEPS), "--gradient-accumulation", "2")
    step = kill_after_a_checkpoint(again, cut / "tiny" / "trainer")
    assert not (cut / "tiny" / "pretraining.json").exists()
    unfinished = cut / "tiny" / "trainer" / f"checkpoint-{STEPS - 1}"
    unfinished.mkdir()  # as a kill in the middle of writing it leaves one

    output = finished(*again)

    resumed_at = int(output.partition("resuming from checkpoint-")[2].split()[0])
    assert step <= resumed_at < STEPS - 1
    records = [
        json.loads((folder / "tiny" / "pretraining.json").read_text(encoding="utf-8")) for folder in (whole, cut)
    ]
    for name in ("before", "after", "curve", "updates", "data_fingerprint"):
        assert records[0][name] == records[1][name], name
    assert len(records[0]["curve"]) == 9
    expected, actual = (load_file(folder / "tiny" / "model.safetensors") for folder in (whole, cut))
    assert expected.keys() == actual.keys()
    assert all(bool((expected[key] == actual[key]).all()) for key in expected)
    tokenizers = [(folder / "tiny" / "tokenizer.json").read_bytes() for folder in (whole, cut)]
    assert tokenizers[0] == tokenizers[1]


def test_a_killed_run_by_the_clock_goes_on_with_the_time_that_is_left(tmp_path: Path) -> None:
    data = write_corpus(tmp_path / "texts.txt", 100)
    arguments = command(data, tmp_path, "--minutes", "0.1")
    step = kill_after_a_checkpoint(arguments, tmp_path / "tiny" / "trainer")
    output = finished(*arguments)
    assert "resuming from checkpoint-" in output
    record = json.loads((tmp_path / "tiny" / "pretraining.json").read_text(encoding="utf-8"))
    assert record["updates"] > step
    assert record["training_s"] >= record["config"]["budget_s"]


def test_a_finished_run_is_reused_until_something_changes(tmp_path: Path) -> None:
    data = write_corpus(tmp_path / "texts.txt", 100)
    arguments = command(data, tmp_path, "--steps", "2")
    python_m(*arguments)
    record = tmp_path / "tiny" / "pretraining.json"
    first = record.read_text(encoding="utf-8")

    assert REUSED in finished(*arguments)
    assert record.read_text(encoding="utf-8") == first

    write_corpus(data, 101)
    assert REUSED not in finished(*arguments)
