"""Plots can be read with Chinese labels and with many labels, whatever fonts the machine has."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training import figures
from training.plots import plot_calibration, plot_confusion, plot_label_scores

NOWHERE = "\U000f0000"
"""A private character, which no font has."""


def test_a_name_that_no_font_here_can_draw_becomes_its_number() -> None:
    assert figures.drawable(["sports", f"a{NOWHERE}", "Größe", NOWHERE]) == ["sports", "#2", "Größe", "#4"]


@pytest.mark.parametrize(
    "labels",
    [
        ["体育", "经济", "sports"],
        [f"label {number}" for number in range(77)],
        [NOWHERE, "b"],
        ["costs $5 to $9", "b $x_$"],  # what matplotlib would read as mathematics
    ],
)
def test_labels_are_drawn_as_they_are_without_empty_boxes(labels: list[str], tmp_path: Path) -> None:
    confusion = np.eye(len(labels), dtype=np.int64) * 7
    confusion[0, 1] = 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib warns of each missing glyph
        plot_confusion(confusion, labels, tmp_path / "confusion.png")
        plot_label_scores(dict.fromkeys(labels, 0.5), dict.fromkeys(labels, 9), tmp_path / "labels.png")
        plot_calibration(
            [(0.9, 0.7, 1.0)], [(0.7, 0.7, 1.0)], (0.2, 0.0), ("stated", "right"), tmp_path / "calibration.png"
        )
    for name in ("confusion", "labels", "calibration"):
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert min(picture.size) > 200
