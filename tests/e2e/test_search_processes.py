"""Real processes search: two share a study, and one that is killed in mid-trial leaves no trial undone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fakes.study_worker import plain_study
from tests.fakes.tiny_encoder import toy_rows, write_rows, write_tiny_encoder
from training.search.results import StudyResult, study_result

ROOT = Path(__file__).resolve().parents[2]
SPACE = """
learning_rate: {low: 1e-4, high: 3e-3, log: true}
batch_size: {choices: [8, 16]}
epochs: {low: 2, high: 3}
"""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search")
    write_rows(folder / "rows.csv", toy_rows(240))
    write_tiny_encoder(folder / "encoder")
    (folder / "space.yaml").write_text(SPACE, encoding="utf-8")
    (folder / "settings.yaml").write_text("epochs: 3\ncheckpoint_every_s: 0.2\n", encoding="utf-8")
    return folder


def command(inputs: Path, out: Path, trials: int) -> list[str]:
    options = {
        "--data": inputs / "rows.csv",
        "--name": "toy",
        "--model": inputs / "encoder",
        "--config": inputs / "settings.yaml",
        "--space": inputs / "space.yaml",
        "--out": out,
        "--trials": trials,
        "--threads": 1,
        "--heartbeat-s": 1,
    }
    return [sys.executable, "-m", "training", "search", *(str(part) for pair in options.items() for part in pair)]


def start(arguments: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output
    return output


def study_at(out: Path) -> StudyResult:
    """What the database in `out` holds; read as a program that is no worker would."""
    with plain_study(f"sqlite:///{out}/toy/study.db", "toy") as study:
        return study_result(study.get_trials())


def test_two_processes_share_a_study_and_make_exactly_the_trials_asked_for(inputs: Path, tmp_path: Path) -> None:
    trials = 5
    workers = [start(command(inputs, tmp_path, trials)) for _ in range(2)]
    outputs = [finish(worker) for worker in workers]

    result = study_at(tmp_path)
    assert len(result.trials) == trials == len(result.finished)
    ran = [{trial.number for trial in result.trials if f"trial {trial.number}: " in output} for output in outputs]
    assert all(ran) and ran[0] | ran[1] == set(range(trials)) and not ran[0] & ran[1]
    assert (tmp_path / "toy" / "report.html").is_file()
    assert "python -m training fit --config" in outputs[0]


def kill_in_mid_trial(process: subprocess.Popen[str], folder: Path) -> None:
    """Kills with SIGKILL once the second trial has a checkpoint."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        assert process.poll() is None, process.communicate()[0]
        if any((folder / "trials" / "00001" / "trainer").glob("checkpoint-*/trainer_state.json")):
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            return
        time.sleep(0.02)
    process.kill()
    pytest.fail("the second trial made no checkpoint")


def test_a_killed_worker_leaves_no_trial_undone(inputs: Path, tmp_path: Path) -> None:
    trials = 3
    arguments = command(inputs, tmp_path, trials)
    kill_in_mid_trial(start(arguments), tmp_path / "toy")
    assert [trial.state for trial in study_at(tmp_path).trials] == ["complete", "running"]

    output = finish(start(arguments))

    result = study_at(tmp_path)
    assert [trial.state for trial in result.trials].count("complete") == trials
    (lost,) = [trial for trial in result.trials if trial.state == "lost"]
    assert lost.number == 1
    assert [trial.parameters for trial in result.complete].count(lost.parameters) == 1
    assert "python -m training fit --config" in output
    assert not (tmp_path / "toy" / "trials").exists()
