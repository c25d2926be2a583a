"""One study that several workers share: opened, checked, and its trials given out one at a time, never too many.

Only Optuna's public interface is used. Its own loop (`Study.optimize`) bounds the trials of a process, not of a study,
so the loop is ours: take a trial under the lock, show life while it runs, tell its result.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning, StorageInternalError, UpdateFinishedTrialError
from optuna.pruners import PercentilePruner
from optuna.samplers import TPESampler
from optuna.storages import RetryHeartbeatStaleTrialCallback
from optuna.trial import FrozenTrial, Trial, TrialState

from training.failures import InvalidSettings
from training.search.storage import Storage

IDENTITY, START, FAILURE, CLAIMED = "identity", "start", "failure", "claimed"
SEEDS = 100_003
"""Distance between the seeds of two trials' proposals, so that no two searches share them."""

BEST_SHARE = 75.0
"""Percent of the complete trials that set the bar. Half of them, the usual median, stops large batches and long schedules
that start slowly and win: in its first epochs a short schedule is already ahead."""
FEW_TRIALS = 4
"""Trials that complete before any is pruned: a quantile of fewer says little."""
WARM_UP_EPOCHS = 2
"""The first epoch never decides: a slow warm-up or a large batch looks bad there and may win."""

log = logging.getLogger(__name__)


class SharedStudy:
    """The trials of one search. `limit` bounds them for all workers together."""

    def __init__(
        self,
        storage: Storage,
        name: str,
        limit: int,
        distributions: dict[str, BaseDistribution],
        seed: int,
        beat_s: int,
    ) -> None:
        self._storage = storage
        self._name = name
        self._limit = limit
        self._distributions = distributions
        self._seed = seed
        self._beat_s = beat_s
        self._opened = ExitStack()

    def close(self) -> None:
        """Lets go of the database's connections."""
        self._opened.close()

    def open(self, identity: Mapping[str, str], start: Mapping[str, int | float | str]) -> None:
        """Makes the study with `start` as its first trial, or joins the one that is there.

        Args:
            identity: What the scores depend on, as name of the part -> fingerprint.
            start: Parameters of the first trial.

        Raises:
            InvalidSettings: The database cannot be used, or the study there belongs to another identity.
        """
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with self._storage.exclusive(self._name):
            self._database = self._storage.open(self._beat_s)
            self._opened.callback(self._database.engine.dispose)
            self._opened.callback(self._database.remove_session)
            pruner = PercentilePruner(BEST_SHARE, n_startup_trials=FEW_TRIALS, n_warmup_steps=WARM_UP_EPOCHS)
            self._study = optuna.create_study(
                storage=self._database,
                study_name=self._name,
                direction="maximize",
                pruner=pruner,
                load_if_exists=True,
            )
            trials = self.trials()
            self._settle_identity(identity, trials)
            if not any(START in trial.user_attrs for trial in trials):
                self._study.enqueue_trial(dict(start), user_attrs={START: True})

    def _settle_identity(self, identity: Mapping[str, str], trials: list[FrozenTrial]) -> None:
        recorded = self._study.user_attrs.get(IDENTITY)
        if recorded is None and not trials:
            self._study.set_user_attr(IDENTITY, dict(identity))
            return
        known: dict[str, Any] = recorded or {}
        if other := [part for part, fingerprint in identity.items() if known.get(part) != fingerprint]:
            file = self._storage.file
            remove = (
                f"remove {file}"
                if file is not None
                else f"delete it with `optuna delete-study --study-name {self._name} --storage URL`"
            )
            raise InvalidSettings(
                f"the study {self._name!r} in {self._storage.shown} was made with other {' and other '.join(other)}, and "
                f"scores of both would not be comparable. Give another --name, or {remove} to begin anew"
            )

    def trials(self) -> list[FrozenTrial]:
        """All trials of all workers, in the order in which they were taken."""
        return self._study.get_trials(deepcopy=False)

    def claim(self) -> Trial | None:
        """A trial to run, with its parameters drawn; None when `limit` trials are done or running.

        Trials that lost their worker are given out again first. The proposals of a trial depend on the seed, its number
        and the results so far, so that a search that was cut off goes on as it would have.
        """
        with self._storage.exclusive(self._name):
            self._retry_lost()
            trials = self.trials()
            if sum(_counts(trial) for trial in trials) >= self._limit:
                return None
            # its defaults suit: settings are drawn jointly, and those of running trials count as bad, to spread workers
            self._study.sampler = TPESampler(
                seed=(self._seed * SEEDS + len(trials)) % 2**32, n_startup_trials=max(FEW_TRIALS, self._limit // 3)
            )
            with warnings.catch_warnings():
                # it points at Study.optimize, whose heartbeat `alive` replaces
                warnings.filterwarnings("ignore", message="Heartbeat of storage")
                trial = self._study.ask(self._distributions)
            self._database.record_heartbeat(self._number_in_database(trial))
            trial.set_user_attr(CLAIMED, trial.number)
            return trial

    def _retry_lost(self) -> None:
        """Fails the trials whose worker is gone and queues each again. Needs the lock."""
        for trial in self.trials():
            # whoever claims marks the trial before letting go of the lock, so this worker died in between
            if trial.state == TrialState.RUNNING and trial.user_attrs.get(CLAIMED) != trial.number:
                self._queue_again(trial.number)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            optuna.storages.fail_stale_trials(self._study)

    def lost_numbers(self, trial: Trial) -> list[int]:
        """The numbers under which the trial was run before and lost its worker, oldest first."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return RetryHeartbeatStaleTrialCallback.retry_history(self.trials()[trial.number])

    def holds(self, trial: Trial) -> bool:
        """Whether the trial is still this worker's; one that showed no life for long is given to another."""
        return self.trials()[trial.number].state == TrialState.RUNNING

    def give_back(self, trial: Trial) -> None:
        """Lets another worker, or the next start, run the trial that this one cannot finish."""
        with self._storage.exclusive(self._name):
            if self.holds(trial):
                self._queue_again(trial.number)

    def _queue_again(self, number: int) -> None:
        failed = self._study.tell(number, state=TrialState.FAIL)
        callback = self._database.heartbeat_stale_trial_callback
        assert callback is not None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            callback(self._study, failed)

    @contextmanager
    def alive(self, trial: Trial) -> Iterator[None]:
        """Shows life of a running trial every beat, from a thread of its own."""
        number = self._number_in_database(trial)
        over = threading.Event()

        def beat() -> None:
            while not over.wait(self._beat_s):
                try:
                    self._database.record_heartbeat(number)
                except StorageInternalError as error:  # the database is busy or away: the next beat tries again
                    log.warning("no heartbeat of trial %d: %s", trial.number, error)
            self._database.remove_session()

        thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def report(self, trial: Trial, epoch: int, score: float) -> bool:
        """Records a validation score in [0, 1]; False when the trial was given to another worker meanwhile."""
        try:
            trial.report(score, epoch)
        except UpdateFinishedTrialError:
            return False
        return True

    def finish(self, trial: Trial, score: float | None, failure: str | None = None) -> None:
        """Tells the result: the best score; or None, for pruned; or why it failed, which counts as a result, too.

        The result of a trial that was given to another worker meanwhile is dropped.
        """
        if failure is not None:
            with suppress(UpdateFinishedTrialError):
                trial.set_user_attr(FAILURE, failure)
            self._study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
        elif score is None:
            self._study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)
        else:
            self._study.tell(trial, score, skip_if_finished=True)

    def importances(self) -> dict[str, float]:
        """Share of the scores' variance that each setting explains, largest first; empty with too few trials for it.

        fANOVA (Hutter, Hoos, Leyton-Brown 2014) over the complete trials.
        """
        done = [trial.value for trial in self.trials() if trial.state == TrialState.COMPLETE]
        if len(done) < FEW_TRIALS or len(set(done)) == 1:
            return {}
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=self._seed)
        return optuna.importance.get_param_importances(self._study, evaluator=evaluator)

    def _number_in_database(self, trial: Trial) -> int:
        study = self._database.get_study_id_from_name(self._name)
        return self._database.get_trial_id_from_study_id_trial_number(study, trial.number)


def _counts(trial: FrozenTrial) -> bool:
    """Whether a trial uses up one of the trials asked for; those that lost their worker or still wait do not."""
    if trial.state == TrialState.FAIL:
        return FAILURE in trial.user_attrs
    return trial.state != TrialState.WAITING
