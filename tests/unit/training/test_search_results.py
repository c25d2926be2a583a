"""What a study found is told rightly: the best, the time left, the page, the settings file."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from training.search.best import write_best
from training.search.estimate import in_words, seconds_left
from training.search.report import write_report
from training.search.results import State, StudyResult, TrialResult
from training.search.space import default_space
from training.search.wording import verdict
from training.settings import FineTuneSettings
from training.settings_reading import load_settings

NOW = datetime(2026, 1, 1, 12)


def trial(
    number: int,
    state: State,
    *scores: float,
    start: bool = False,
    seconds: float | None = 60.0,
    **parameters: float | str,
) -> TrialResult:
    began = NOW - timedelta(seconds=20)
    return TrialResult(number, state, dict(parameters), dict(enumerate(scores, start=1)), start, began, seconds, None)


@pytest.fixture
def settings() -> FineTuneSettings:
    flags = {"name": "toy", "epochs": 6, "learning_rate": 3e-4, "pooling": "mean"}
    return load_settings(None, flags, {"path": "<b>rows.csv"})


def test_the_best_epoch_of_a_complete_trial_wins_and_a_tie_keeps_the_earlier_one() -> None:
    result = StudyResult(
        [
            trial(0, "complete", 0.7, 0.8, start=True),
            trial(1, "complete", 0.8, 0.6),
            trial(2, "pruned", 0.9),
            trial(3, "running", 0.95),
        ]
    )
    assert result.best is not None and result.best.number == 0
    assert verdict(result, 100).startswith("Nothing beat the settings that the search started from")


def test_a_lead_is_told_beside_what_chance_explains() -> None:
    result = StudyResult([trial(0, "complete", 0.80, start=True), trial(1, "complete", 0.84)])
    assert verdict(result, 100).startswith(
        "4.0 points above the start. One standard error on 100 validation rows is 3.7"
    )


def test_a_perfect_score_leaves_doubt_too() -> None:
    result = StudyResult([trial(0, "complete", 0.80, start=True), trial(1, "complete", 1.0)])
    assert "on 21 validation rows is 4.5 points" in verdict(result, 21)


def test_the_time_left_is_the_mean_of_the_trials_done_shared_by_the_workers() -> None:
    running = [trial(2, "running", seconds=None), trial(3, "running", seconds=None)]
    done = [trial(0, "complete", 0.8), trial(1, "pruned", 0.1, seconds=20.0)]
    assert seconds_left(StudyResult(running), 6, NOW) is None
    # mean 40 s, 20 s of both running trials are over, 2 trials to come, 2 workers
    assert seconds_left(StudyResult([*done, *running]), 6, NOW) == 60.0
    assert seconds_left(StudyResult([*done, *running]), 4, NOW) == 20.0
    assert [in_words(seconds) for seconds in (None, 34, 400, 9000)] == [
        "time left not known yet",
        "about 30 s left",
        "about 7 min left",
        "about 2.5 h left",
    ]


def test_the_page_holds_everything_and_runs_nothing(settings: FineTuneSettings, tmp_path: Path) -> None:
    space = default_space(settings, ("mean", "cls"))
    start = space.starting_point(settings)
    result = StudyResult(
        [
            trial(0, "complete", 0.7, 0.8, start=True, **start),
            trial(1, "complete", 0.6, 0.9, **{**start, "pooling": "cls", "learning_rate": 1e-4}),
            trial(2, "pruned", 0.1, **start),
            trial(3, "lost"),
            trial(4, "waiting"),
        ]
    )
    write_report(result, {"learning_rate": 0.7, "pooling": 0.3}, space, settings, 50, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count('src="data:image/png;base64,') == 4
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "&lt;b&gt;rows.csv" in page and "<b>rows.csv" not in page
    assert "stopped early" in page and "lost its worker" in page
    assert '<tr class="best"><td class="n">1</td><td class="n">90.0 %</td>' in page


@pytest.mark.parametrize("trials", [[], [trial(0, "running")], [trial(0, "failed", seconds=1.0)]])
def test_a_study_without_scores_has_a_page_too(
    settings: FineTuneSettings, tmp_path: Path, trials: list[TrialResult]
) -> None:
    write_report(
        StudyResult(trials), {}, default_space(settings, ("mean", "cls")), settings, 50, tmp_path / "report.html"
    )
    assert "No trial was completed" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_settings_file_is_read_back_as_the_best_trials_settings(settings: FineTuneSettings, tmp_path: Path) -> None:
    found = {"learning_rate": 1.2345e-4, "epochs": 9, "pooling": "cls"}
    result = StudyResult([trial(0, "complete", 0.7, start=True), trial(1, "complete", 0.9, **found)])
    write_best(result, settings, 50, tmp_path / "best.yaml")
    expected = FineTuneSettings.model_validate({**settings.model_dump(), **found})
    assert load_settings(tmp_path / "best.yaml", {}, {}) == expected
