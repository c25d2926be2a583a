"""Real processes search: two share a study, and one that is killed in mid-trial leaves no trial undone."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.fakes.commands import kill_after_a_checkpoint, python_m, started
from tests.fakes.study_worker import plain_study
from tests.fakes.tiny_encoder import toy_rows, write_rows, write_tiny_encoder
from training.search.results import StudyResult, study_result

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
    return ["training", "search", *(str(part) for pair in options.items() for part in pair)]


def study_at(out: Path) -> StudyResult:
    """What the database in `out` holds; read as a program that is no worker would."""
    with plain_study(f"sqlite:///{out}/toy/study.db", "toy") as study:
        return study_result(study.get_trials())


def test_two_processes_share_a_study_and_make_exactly_the_trials_asked_for(inputs: Path, tmp_path: Path) -> None:
    trials = 5
    with ExitStack() as stack:
        workers = [stack.enter_context(started(*command(inputs, tmp_path, trials))) for _ in range(2)]
        both = [worker.ended() for worker in workers]
    assert [each.status for each in both] == [0, 0], both
    outputs = [each.output for each in both]

    result = study_at(tmp_path)
    assert len(result.trials) == trials == len(result.finished)
    ran = [{trial.number for trial in result.trials if f"trial {trial.number}: " in output} for output in outputs]
    assert all(ran) and ran[0] | ran[1] == set(range(trials)) and not ran[0] & ran[1]
    assert (tmp_path / "toy" / "report.html").is_file()
    assert "python -m training fit --config" in outputs[0]


def test_a_killed_worker_leaves_no_trial_undone(inputs: Path, tmp_path: Path) -> None:
    trials = 3
    arguments = command(inputs, tmp_path, trials)
    kill_after_a_checkpoint(arguments, tmp_path / "toy" / "trials" / "00001" / "trainer")
    assert [trial.state for trial in study_at(tmp_path).trials] == ["complete", "running"]

    output = python_m(*arguments)

    result = study_at(tmp_path)
    assert [trial.state for trial in result.trials].count("complete") == trials
    (lost,) = [trial for trial in result.trials if trial.state == "lost"]
    assert lost.number == 1
    assert [trial.parameters for trial in result.complete].count(lost.parameters) == 1
    assert "python -m training fit --config" in output
    assert not (tmp_path / "toy" / "trials").exists()
