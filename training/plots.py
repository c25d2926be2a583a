"""Pictures of an evaluation, as PNG files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.calibration import Reliability
from training.figures import drawable, figure

FEW = 20


def plot_confusion(confusion: NDArray[np.int64], labels: list[str], path: Path) -> None:
    """Row-normalised confusion matrix; counts are written into the cells when there are few labels."""
    size = max(5.0, min(24.0, 2.5 + 0.27 * len(labels))) if len(labels) > FEW else 2.5 + 0.75 * len(labels)
    picture = figure(size + 1.0, size)
    axes = picture.subplots()
    share = confusion / np.maximum(1, confusion.sum(axis=1, keepdims=True))
    image = axes.imshow(share, cmap="Blues", vmin=0.0, vmax=1.0)
    fontsize = 10 if len(labels) <= FEW else 6.5
    names = drawable(labels)
    axes.set_xticks(
        range(len(labels)),
        names,
        rotation=90 if len(labels) > 6 else 30,
        ha="right" if len(labels) <= 6 else "center",
        fontsize=fontsize,
    )
    axes.set_yticks(range(len(labels)), names, fontsize=fontsize)
    axes.set_title("Test rows by true and predicted label" + _numbered(names, labels))
    axes.set_xlabel("predicted label")
    axes.set_ylabel("true label")
    for row, column in zip(*np.nonzero(confusion), strict=True):
        if len(labels) <= FEW or row != column:
            colour = "white" if share[row, column] > 0.55 else "#1c2430"
            axes.text(
                column, row, str(confusion[row, column]), ha="center", va="center", color=colour, fontsize=fontsize
            )
    picture.colorbar(image, ax=axes, label="share of the true label's rows", shrink=0.7)
    picture.savefig(path, dpi=110)


def plot_label_scores(scores: dict[str, float], rows: dict[str, int], path: Path) -> None:
    """A bar for each label, in [0, 1], the best on top, with the rows that have it."""
    labels = sorted(scores, key=lambda label: scores[label])
    names = dict(zip(scores, drawable(list(scores)), strict=True))
    picture = figure(7.0, 1.5 + 0.28 * len(labels))
    axes = picture.subplots()
    axes.barh(range(len(labels)), [scores[label] for label in labels], color="#3d6fb4", height=0.65)
    axes.set_yticks(range(len(labels)), [f"{names[label]} ({rows[label]})" for label in labels], fontsize=9)
    axes.set_title("F1 of each label" + _numbered(list(names.values()), list(names)))
    for position, label in enumerate(labels):
        score = scores[label]
        inside = score > 0.2
        place, side, colour = (score - 0.01, "right", "white") if inside else (score + 0.01, "left", "#1c2430")
        axes.text(place, position, f"{100 * score:.0f} %", va="center", ha=side, color=colour, fontsize=8)
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.6, len(labels) - 0.4)
    picture.supxlabel("F1 on the test rows (in brackets: rows that have the label)", fontsize=9)
    picture.savefig(path, dpi=110)


def plot_calibration(
    before: Reliability, after: Reliability, errors: tuple[float, float], axis_names: tuple[str, str], path: Path
) -> None:
    """Reliability diagram before and after temperature scaling."""
    picture = figure(5.5, 5.0)
    axes = picture.subplots()
    axes.plot([0, 1], [0, 1], color="#9aa6b5", linewidth=1, linestyle="--", label="perfect")
    series = (("before", before, errors[0], "#e0a13a"), ("after", after, errors[1], "#3d6fb4"))
    for name, points, error, colour in series:
        axes.plot([p[0] for p in points], [p[1] for p in points], color=colour, linewidth=1.2, alpha=0.8)
        axes.scatter(
            [p[0] for p in points],
            [p[1] for p in points],
            s=[15 + 400 * p[2] for p in points],
            color=colour,
            alpha=0.7,
            label=f"{name} scaling, error {100 * error:.1f} %",
        )
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel(axis_names[0])
    axes.set_ylabel(axis_names[1])
    axes.set_title("Calibration on the test rows")
    axes.legend(loc="upper left", markerscale=0.5)
    picture.savefig(path, dpi=110)


def plot_numbers(
    predicted: NDArray[np.float64], truth: NDArray[np.float64], scores: Mapping[str, float], path: Path
) -> None:
    """Predicted against true numbers, a dot a row; on the diagonal a prediction is exact."""
    picture = figure(6.0, 5.6)
    axes = picture.subplots()
    low = float(min(predicted.min(), truth.min()))
    high = float(max(predicted.max(), truth.max()))
    margin = 0.03 * (high - low) or 1.0
    ends = (low - margin, high + margin)
    axes.plot(ends, ends, color="#9aa6b5", linewidth=1, linestyle="--", label="exact")
    # many rows become a cloud whose density still shows
    alpha = max(0.08, min(0.7, 60 / len(truth)))
    axes.scatter(truth, predicted, s=16, color="#3d6fb4", alpha=alpha, linewidths=0)
    axes.set_xlim(*ends)
    axes.set_ylim(*ends)
    axes.set_aspect("equal")
    axes.set_xlabel("true number")
    axes.set_ylabel("predicted number")
    axes.set_title(
        f"{len(truth):,} test rows: R² {100 * scores['r2']:.1f} %, mean absolute error {scores['mae']:.3g}", fontsize=10
    )
    axes.legend(loc="upper left")
    picture.savefig(path, dpi=110)


def _numbered(names: list[str], labels: list[str]) -> str:
    """What `drawable` names mean, for a title."""
    return "" if names == labels else "\n(#n: the n-th one in metrics.json; no font here has its characters)"
