"""One worker of a search: takes trials until enough are done, then writes what was found.

Any number of workers may run the same command; whoever ends last has all trials in the files it writes.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.trial import Trial
from rich.console import Console

from training.failures import InvalidSettings
from training.reuse import code_fingerprint, encoder_fingerprint, rows_fingerprint, settings_as_text
from training.search.best import write_best
from training.search.display import Display
from training.search.material import Material, prepare_material
from training.search.report import write_report
from training.search.results import StudyResult, study_result
from training.search.space import SearchSpace, default_space, load_space
from training.search.storage import Storage
from training.search.study import SharedStudy
from training.search.trial import OutOfMemory, Report, TrialOutcome, run_trial
from training.settings import FineTuneSettings

RunTrial = Callable[[Material, dict[str, Any], Path, Report], TrialOutcome]


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """What is asked of a search; `trials` bounds the study, `minutes` this worker's start of new trials."""

    folder: Path
    trials: int
    minutes: float | None = None
    storage: str | None = None
    space: Path | None = None
    beat_s: int = 10
    """Seconds between two signs of life of a running trial."""


def search(
    settings: FineTuneSettings, plan: SearchPlan, console: Console, run_trial: RunTrial = run_trial
) -> StudyResult:
    """Runs trials and writes best.yaml and report.html into the plan's folder.

    Raises TrainingFailure when the data, the space, the database or the study there cannot be used.
    """
    storage = Storage.of(plan.storage, plan.folder)
    if plan.space is not None:
        load_space(plan.space, settings)  # its faults are told before the data are read
    with ExitStack() as held:
        held.enter_context(storage.faults())
        scratch = held.enter_context(tempfile.TemporaryDirectory(prefix="bertline-search-"))
        material = prepare_material(settings, Path(scratch) / "tokenizer", console)
        space = _space(plan, material)
        study = SharedStudy(storage, settings.name, plan.trials, space.distributions(), settings.seed, plan.beat_s)
        held.callback(study.close)
        start = space.starting_point(material.settings)
        _tell_moved(start, material.settings, console)
        study.open(_identity(settings, space), start)
        display = Display(console, plan.trials)
        with display.live():
            Worker(material, study, plan, display, run_trial).run()
        return _conclude(study, material, space, plan, display)


class Worker:
    """Runs the trials of one process, one after the other."""

    def __init__(
        self, material: Material, study: SharedStudy, plan: SearchPlan, display: Display, run_trial: RunTrial
    ) -> None:
        self._material = material
        self._study = study
        self._plan = plan
        self._display = display
        self._run_trial = run_trial

    def run(self) -> None:
        """Until the study has its trials and none runs elsewhere that may have to be run again, or the time is up."""
        until = time.monotonic() + 60 * self._plan.minutes if self._plan.minutes is not None else float("inf")
        told = False
        while time.monotonic() < until:
            trial = self._study.claim()
            if trial is not None:
                self._run(trial)
                self._display.ended(trial.number, self._result())
                told = False
                continue
            result = self._result()
            if not result.running:
                break
            if not told:
                self._display.waiting(result)
                told = True
            time.sleep(self._plan.beat_s)

    def _run(self, trial: Trial) -> None:
        start = self._result().trials[trial.number].start
        epochs = int(trial.params.get("epochs", self._material.settings.epochs or 0))

        def report(epoch: int, score: float) -> bool:
            if not self._study.report(trial, epoch, score):
                return False
            self._display.epoch(trial.number, epoch, epochs, score, self._result())
            # the start is what the others are measured by; and what has ended cannot be stopped
            return start or epoch >= epochs or not trial.should_prune()

        with self._study.alive(trial):
            try:
                outcome = self._run_trial(self._material, trial.params, self._scratch(trial), report)
            except OutOfMemory as error:
                self._study.finish(trial, None, failure=str(error))
                return
            except Exception as error:
                if not self._study.holds(trial):
                    return
                self._study.finish(trial, None, failure=repr(error))  # or every start would meet the fault again
                raise
            except BaseException:
                self._study.give_back(trial)
                raise
        self._study.finish(trial, None if outcome.stopped else max(outcome.scores.values()))

    def _scratch(self, trial: Trial) -> Path:
        """A folder of the trial's own, with the checkpoint of the worker that it lost, if it did."""
        folders = self._plan.folder / "trials"
        folder = folders / f"{trial.number:05d}"
        for lost in self._study.lost_numbers(trial)[-1:]:
            with suppress(FileNotFoundError):
                (folders / f"{lost:05d}").rename(folder)
        return folder

    def _result(self) -> StudyResult:
        return study_result(self._study.trials())


def _space(plan: SearchPlan, material: Material) -> SearchSpace:
    if plan.space is None:
        return default_space(material.settings, material.poolings)
    space = load_space(plan.space, material.settings)
    wanted = space.pooling.choices if space.pooling is not None and space.pooling.choices is not None else []
    if unknown := [str(choice) for choice in wanted if choice not in material.poolings]:
        raise InvalidSettings(
            f"search space {plan.space}: pooling: {', '.join(unknown)} cannot stand for a text in {material.source.name}; "
            f"there are {', '.join(material.poolings)}"
        )
    return space


def _identity(settings: FineTuneSettings, space: SearchSpace) -> dict[str, str]:
    """What makes scores comparable. The search's own code does not; a better report must not end a study."""
    return {
        "data": rows_fingerprint(settings.data),
        "encoder": encoder_fingerprint(settings.model),
        "settings": settings_as_text(settings),
        "search space": space.model_dump_json(exclude_none=True),
        "code": code_fingerprint(),
    }


def _tell_moved(start: dict[str, int | float | str], settings: FineTuneSettings, console: Console) -> None:
    for name, value in start.items():
        if value != getattr(settings, name):
            console.print(
                f"[yellow]note[/] {name} {getattr(settings, name)} lies outside the search space: the first trial takes "
                f"{value}, so the best may be worse than what fit does without a search"
            )


def _conclude(
    study: SharedStudy, material: Material, space: SearchSpace, plan: SearchPlan, display: Display
) -> StudyResult:
    result = study_result(study.trials())
    plan.folder.mkdir(parents=True, exist_ok=True)
    rows = len(material.encoded.validation)
    page, best = plan.folder / "report.html", plan.folder / "best.yaml"
    write_report(result, study.importances(), space, material.settings, rows, page)
    if result.best is not None:
        write_best(result, material.settings, rows, best)
    if len(result.finished) >= plan.trials and not result.running:
        shutil.rmtree(plan.folder / "trials", ignore_errors=True)
    display.end(result, rows, best if result.best else None, page)
    return result
