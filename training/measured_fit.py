"""`fit` in a process of its own, and what it took."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from training.measured_process import run_measured
from training.run import Effort, RunDirectory, RunRecord


@dataclass(frozen=True, slots=True)
class MeasuredFit:
    """A training. `peak_bytes`: the most memory its process held, with libraries and data."""

    record: RunRecord
    effort: Effort
    peak_bytes: int


def measured_fit(run: RunDirectory, options: Sequence[str]) -> MeasuredFit | None:
    """Trains from the beginning: what is reused or resumed cannot be timed. None when it failed; why, the terminal says."""
    where = ["--name", run.root.name, "--out", str(run.root.parent)]
    # what the report measures is no part of training, and would count into the memory
    alone = ["--anew", "--robustness-rows", "0", "--explained-rows", "0"]
    ended = run_measured([sys.executable, "-m", "training", "fit", *where, *alone, *options])
    record = run.record()
    if ended.exit_code or record is None or record.effort is None:
        return None
    return MeasuredFit(record, record.effort, ended.peak_bytes)
