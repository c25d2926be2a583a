"""A worker that takes trials of a real study and invents their scores: `python -m tests.fakes.study_worker URL LIMIT`.

Prints one line for each trial that it took. With a third argument it kills itself in its first trial.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import optuna
from optuna.distributions import FloatDistribution
from optuna.storages import RDBStorage

from training.search.storage import Storage
from training.search.study import SharedStudy

NAME = "shared"


def open_study(url: str, limit: int, beat_s: int = 1, data: str = "rows") -> SharedStudy:
    """The study of these tests, made or joined."""
    study = SharedStudy(Storage.of(url, Path()), NAME, limit, {"dropout": FloatDistribution(0.0, 0.5)}, 13, beat_s)
    study.open({"data": data, "code": "1"}, {"dropout": 0.1})
    return study


@contextmanager
def plain_study(url: str, name: str = NAME) -> Iterator[optuna.Study]:
    """A study as a program sees it that is no worker; made when it is not there."""
    storage = RDBStorage(url)
    try:
        yield optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
    finally:
        storage.remove_session()
        storage.engine.dispose()


def main(url: str, limit: int, dies: bool) -> None:
    """Takes trials until the study has enough."""
    with closing(open_study(url, limit)) as study:
        while (trial := study.claim()) is not None:
            sys.stdout.write(f"{trial.number} {trial.params['dropout']}\n")
            sys.stdout.flush()
            with study.alive(trial):
                if dies:
                    os.kill(os.getpid(), signal.SIGKILL)
                time.sleep(0.05)
                study.report(trial, 1, 0.5)
            study.finish(trial, 0.5 + trial.params["dropout"] / 10)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), dies=len(sys.argv) > 3)
