"""What each method costs and gives, by training the same data with each in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from rich.table import Table

from training.failures import InvalidSettings, TrainingFailure
from training.headlines import as_shown, headline
from training.measured_fit import MeasuredFit, measured_fit
from training.run import RunDirectory
from training.settings import Method

METHODS: tuple[Method, ...] = get_args(Method)
MEGABYTE = 2**20


class MethodFailed(TrainingFailure):
    """A run of the comparison ended with an error, which stands above on the terminal."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One method's run."""

    method: Method
    fit: MeasuredFit


def chosen(methods: str | None) -> list[Method]:
    """Those that are named, comma-separated, or all; in their usual order. Raises InvalidSettings."""
    named = METHODS if methods is None else tuple(methods.split(","))
    if unknown := set(named) - set(METHODS):
        raise InvalidSettings(f"there is no method {', '.join(sorted(unknown))}; there are {', '.join(METHODS)}")
    return [method for method in METHODS if method in named]


def measure(method: Method, name: str, out: Path, options: Sequence[str]) -> Measured:
    """Trains in a process of its own, from the beginning. Raises MethodFailed."""
    fit = measured_fit(RunDirectory(out / f"{name}-{method}"), ["--method", method, *options])
    if fit is None:
        raise MethodFailed(f"method {method} could not be trained; what it said stands above")
    return Measured(method, fit)


def table(measured: Sequence[Measured]) -> Table:
    """A row for each method."""
    metric, title = headline(measured[0].fit.record.task, measured[0].fit.record.metrics["test"])
    shown = Table("method", box=None, pad_edge=False)
    for column in (
        "trained weights",
        "of all",
        "peak memory",
        "s an epoch",
        "epochs",
        f"validation {title}",
        f"test {title}",
    ):
        shown.add_column(column, justify="right")
    for each in measured:
        effort = each.fit.effort
        shown.add_row(
            each.method,
            f"{effort.trained_weights:,}",
            f"{100 * effort.trained_weights / effort.weights:.2f} %",
            f"{each.fit.peak_bytes / MEGABYTE:,.0f} MiB",
            f"{effort.seconds_per_epoch:.1f}",
            str(effort.epochs),
            *(as_shown(metric, each.fit.record.metrics[split][metric]) for split in ("validation", "test")),
        )
    return shown
