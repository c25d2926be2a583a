"""Pictures of a study as data URIs of PNG files, so that a page holds them."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np

from training.figures import figure
from training.search.results import StudyResult, TrialResult
from training.search.space import Dimension, SearchSpace

BLUE, AMBER, GREY, INK = "#3d6fb4", "#e0a13a", "#9aa6b5", "#1c2430"
COLUMNS = 3


def history(result: StudyResult) -> str:
    """Score of each trial in their order, and the best so far."""
    picture = figure(9.0, 3.8)
    axes = picture.subplots()
    _scatter(axes, result, lambda trial: trial.number)
    best, steps = 0.0, []
    for trial in result.complete:
        best = max(best, trial.score or 0.0)
        steps.append((trial.number, 100 * best))
    if steps:
        axes.step(
            [x for x, _ in steps], [y for _, y in steps], where="post", color=BLUE, linewidth=1.4, label="best so far"
        )
    if result.start is not None and result.start.score is not None:
        axes.axhline(100 * result.start.score, color=AMBER, linewidth=1.2, linestyle="--", label="start")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("trial")
    _score_axis(axes)
    axes.legend(loc="lower right", fontsize=9)
    return _uri(picture)


def curves(result: StudyResult) -> str:
    """Score of each trial by epoch; the best one in colour, stopped ones dotted."""
    picture = figure(9.0, 3.8)
    axes = picture.subplots()
    best = result.best
    for trial in result.finished:
        if not trial.scores:
            continue
        epochs = sorted(trial.scores)
        colour = BLUE if best is not None and trial.number == best.number else AMBER if trial.start else GREY
        style = {"linestyle": ":" if trial.state == "pruned" else "-", "linewidth": 2.0 if colour != GREY else 1.0}
        axes.plot(epochs, [100 * trial.scores[e] for e in epochs], color=colour, marker=".", **style)
    for name, colour, line in (
        ("best", BLUE, "-"),
        ("start", AMBER, "-"),
        ("others", GREY, "-"),
        ("stopped early", GREY, ":"),
    ):
        axes.plot([], [], color=colour, linestyle=line, label=name)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("epoch")
    _score_axis(axes)
    axes.legend(loc="lower right", fontsize=9)
    return _uri(picture)


def importance_bars(importances: dict[str, float]) -> str:
    """Share of the variance that each setting explains, largest on top."""
    picture = figure(9.0, 0.9 + 0.36 * len(importances))
    axes = picture.subplots()
    names, shares = list(importances), [100 * share for share in importances.values()]
    bars = axes.barh(names, shares, color=BLUE, height=0.65)
    axes.bar_label(bars, [f"{share:.0f} %" for share in shares], padding=4, fontsize=9, color=INK)
    axes.invert_yaxis()
    axes.set_xlim(0, max(shares) * 1.12 or 1)
    axes.set_xlabel("share of the scores' variance, %")
    return _uri(picture)


def slices(result: StudyResult, space: SearchSpace) -> str:
    """Score over each setting's values, one small plot a setting."""
    dimensions = space.dimensions()
    rows = -(-len(dimensions) // COLUMNS)
    picture = figure(9.0, 2.6 * rows)
    grid = picture.subplots(rows, COLUMNS, squeeze=False, sharey=True)
    for axes, (name, dimension) in zip(grid.flat, dimensions.items(), strict=False):
        _scatter(axes, result, lambda trial, name=name, dimension=dimension: _position(trial, name, dimension))
        axes.set_xlabel(name)
        if dimension.choices is not None:
            axes.set_xticks(range(len(dimension.choices)), [str(choice) for choice in dimension.choices])
            axes.set_xlim(-0.5, len(dimension.choices) - 0.5)
        elif dimension.log:
            low, high = (float(end) for end in dimension.ends())
            axes.set_xscale("log")
            axes.minorticks_off()
            axes.set_xticks(
                [low, (low * high) ** 0.5, high], [f"{tick:.2g}" for tick in (low, (low * high) ** 0.5, high)]
            )
    for axes in grid.flat[len(dimensions) :]:
        axes.set_axis_off()
    for axes in grid[:, 0]:
        _score_axis(axes)
    return _uri(picture)


def _position(trial: TrialResult, name: str, dimension: Dimension) -> float:
    value = trial.parameters[name]
    if dimension.choices is None:
        return float(value)
    spread = np.random.default_rng(trial.number).uniform(-0.15, 0.15)  # so that equal choices do not hide one another
    return dimension.choices.index(value) + float(spread)


def _scatter(axes: Any, result: StudyResult, place: Any) -> None:
    """Complete trials as discs, stopped ones as circles, the best and the start in their colours."""
    best = result.best
    for trial in result.finished:
        if trial.score is None or trial.state == "failed":
            continue
        first = best is not None and trial.number == best.number
        colour = AMBER if trial.start and not first else BLUE if first else GREY
        fill = "none" if trial.state == "pruned" else colour
        axes.scatter(
            place(trial), 100 * trial.score, s=60 if first else 30, facecolors=fill, edgecolors=colour, zorder=3
        )


def _score_axis(axes: Any) -> None:
    axes.set_ylabel("validation accuracy, %", fontsize=9)


def _uri(picture: Any) -> str:
    buffer = io.BytesIO()
    picture.savefig(buffer, format="png", dpi=110)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
