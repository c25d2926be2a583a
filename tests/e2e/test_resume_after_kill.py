"""A training process is killed in the middle of an epoch; the same command goes on and ends where it would have ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.fakes.tiny_encoder import toy_rows, write_rows, write_tiny_encoder
from tests.fakes.tiny_questions import write_questions

ROOT = Path(__file__).resolve().parents[2]
EPOCHS = 6
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
    fit = [sys.executable, "-m", "training", "fit", "--data", str(data), "--name", "toy", "--model", str(encoder)]
    unmeasured = ["--robustness-rows", "0", "--explained-rows", "0"]  # of the report, which is another matter
    return [*fit, "--out", str(out), *options, *unmeasured, "--checkpoint-every-s", every_s, "--threads", "1"]


def finish(arguments: list[str]) -> str:
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def kill_in_mid_epoch(arguments: list[str], trainer: Path, steps_per_epoch: int) -> int:
    """Kills the process with SIGKILL once a checkpoint inside an epoch is complete; returns its step."""
    with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 120
        while time.monotonic() < until:
            assert process.poll() is None, "the run ended before it could be killed"
            steps = sorted(
                int(path.parent.name.partition("-")[2]) for path in trainer.glob("checkpoint-*/trainer_state.json")
            )
            inside = [step for step in steps if step % steps_per_epoch and step > steps_per_epoch]
            if inside:
                time.sleep(0.3)  # some steps past the checkpoint, so that work is lost and done again
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
                return inside[-1]
            time.sleep(0.02)
        process.kill()
    pytest.fail("no checkpoint inside an epoch appeared")


@pytest.mark.parametrize("method", ["full", "adalora", "adapters"])
def test_a_killed_run_resumes_and_ends_with_the_same_weights(
    inputs: tuple[Path, Path], tmp_path: Path, method: str
) -> None:
    ends_alike(*inputs, tmp_path, 90, "--method", method)


def test_so_does_one_whose_batches_hold_whole_queries(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    questions = write_questions(tmp_path / "questions.csv", queries=180)
    # 144 queries of 5 candidates to train on, two in a batch
    ranking = ["--task", "pair_scoring", "--loss", "listwise_softmax", "--batch-size", "10", "--epochs", "6"]
    ends_alike(questions, inputs[1], tmp_path, 72, *ranking)


def test_so_does_a_student_and_its_teacher_is_not_asked_again(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    finish([*command(*inputs, tmp_path / "teachers", "60"), "--epochs", "2"])
    texts = "\n".join(f"good news of {number} in and {number * number}" for number in range(80))
    (tmp_path / "texts.csv").write_text(f"text\n{texts}\n", encoding="utf-8")
    lesson = [
        "--teacher",
        str(tmp_path / "teachers" / "toy"),
        "--layers",
        "1",
        "--unlabelled",
        str(tmp_path / "texts.csv"),
    ]
    output = ends_alike(*inputs, tmp_path, 100, *lesson, "--epochs", "4")
    assert "asking toy" not in output


def ends_alike(data: Path, encoder: Path, folder: Path, steps_per_epoch: int, *more: str) -> str:
    """What the resumed run printed."""
    whole, cut = folder / "whole", folder / "cut"
    finish([*command(data, encoder, whole, "0.5"), *more])
    arguments = [*command(data, encoder, cut, "0.5"), *more]
    step = kill_in_mid_epoch(arguments, cut / "toy" / "trainer", steps_per_epoch)
    assert not (cut / "toy" / "run.json").exists()

    output = finish(arguments)

    assert "resuming from checkpoint-" in output
    resumed_at = int(output.partition("resuming from checkpoint-")[2].split()[0])
    assert resumed_at >= step
    records = [json.loads((folder / "toy" / "run.json").read_text(encoding="utf-8")) for folder in (whole, cut)]
    assert records[0]["metrics"] == records[1]["metrics"]
    assert records[0]["temperature"] == records[1]["temperature"]
    added = ["addition.safetensors"] if "adapters" in more else []
    for name in ("model.safetensors", "head.safetensors", *added):
        expected, actual = (load_file(folder / "toy" / "checkpoint" / name) for folder in (whole, cut))
        assert expected.keys() == actual.keys()
        assert all(bool((expected[key] == actual[key]).all()) for key in expected), name
    return output


def test_a_finished_run_is_reused_until_something_changes(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    data, encoder = inputs
    arguments = command(data, encoder, tmp_path, "60")
    arguments[arguments.index("--epochs") + 1] = "1"
    finish(arguments)
    first = (tmp_path / "toy" / "run.json").read_text(encoding="utf-8")

    assert REUSED in finish(arguments)
    assert (tmp_path / "toy" / "run.json").read_text(encoding="utf-8") == first

    assert REUSED not in finish([*arguments, "--anew"])
    assert (tmp_path / "toy" / "run.json").read_text(encoding="utf-8") != first
    assert REUSED not in finish([*arguments, "--seed", "14"])
