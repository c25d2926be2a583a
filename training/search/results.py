"""What a study found, in plain types: for the page, the terminal and the settings file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from optuna.trial import FrozenTrial, TrialState

from training.search.study import FAILURE, START

State = Literal["complete", "pruned", "running", "waiting", "failed", "lost"]
"""lost: its worker ended; the trial was run again under another number."""


@dataclass(frozen=True, slots=True)
class TrialResult:
    """One trial. Scores are validation accuracies in [0, 1]."""

    number: int
    state: State
    parameters: dict[str, int | float | str]
    scores: dict[int, float]
    """Epoch, from 1 -> score."""
    start: bool
    """Whether it ran the settings that the search started from."""
    began: datetime | None
    seconds: float | None
    """None while it runs."""
    failure: str | None

    @property
    def score(self) -> float | None:
        """Best epoch's; None before the first epoch's end."""
        return max(self.scores.values(), default=None)


@dataclass(frozen=True, slots=True)
class StudyResult:
    """All trials, in the order in which they were taken."""

    trials: list[TrialResult]

    @property
    def complete(self) -> list[TrialResult]:
        """The trials that may win."""
        return [trial for trial in self.trials if trial.state == "complete" and trial.scores]

    @property
    def best(self) -> TrialResult | None:
        """The complete trial with the highest score; the first of equals, so the start wins a tie."""
        return max(self.complete, key=lambda trial: (trial.score or 0.0, -trial.number), default=None)

    @property
    def start(self) -> TrialResult | None:
        """The complete trial of the settings that the search started from."""
        return next((trial for trial in self.complete if trial.start), None)

    @property
    def finished(self) -> list[TrialResult]:
        """The trials that count as done: complete, pruned, or failed by their own settings."""
        return [trial for trial in self.trials if trial.state in {"complete", "pruned", "failed"}]

    @property
    def running(self) -> list[TrialResult]:
        """The trials that some worker is at."""
        return [trial for trial in self.trials if trial.state == "running"]


def study_result(trials: Sequence[FrozenTrial]) -> StudyResult:
    """Optuna's trials as plain results. A complete trial's score is its recorded value."""
    return StudyResult([_result(trial) for trial in trials])


def _result(trial: FrozenTrial) -> TrialResult:
    return TrialResult(
        number=trial.number,
        state=_state(trial),
        parameters=dict(trial.params),
        scores=dict(trial.intermediate_values),
        start=START in trial.user_attrs,
        began=trial.datetime_start,
        seconds=trial.duration.total_seconds() if trial.duration is not None else None,
        failure=trial.user_attrs.get(FAILURE),
    )


def _state(trial: FrozenTrial) -> State:
    if trial.state == TrialState.FAIL:
        return "failed" if FAILURE in trial.user_attrs else "lost"
    states: dict[TrialState, State] = {
        TrialState.COMPLETE: "complete",
        TrialState.PRUNED: "pruned",
        TrialState.RUNNING: "running",
        TrialState.WAITING: "waiting",
    }
    return states[trial.state]
