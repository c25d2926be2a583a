"""How a budget is written on the command line: points such as `0.5pt`, shares such as `0.98` or `98%`."""

from __future__ import annotations

import math
import re

import typer

NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)"


def points(text: str) -> float:
    """Percentage points from "0.5pt" or "0.5", in 0..100. Percent is refused: half a percent of an accuracy is another number."""
    found = re.fullmatch(rf"\s*({NUMBER})\s*(pt|pts|points?)?\s*", str(text))
    if found is None:
        raise typer.BadParameter(f"{text!r} is no number of percentage points: write 0.5pt or 0.5")
    return _within(float(found[1]), 100, text, "percentage points from 0 to 100, such as 0.5pt")


def share(text: str) -> float:
    """A share in [0, 1] from "0.98" or "98%"."""
    found = re.fullmatch(rf"\s*({NUMBER})\s*(%?)\s*", str(text))
    if found is None:
        raise typer.BadParameter(f"{text!r} is no share: write 0.98 or 98%")
    value = float(found[1]) / (100 if found[3] else 1)
    return _within(value, 1, text, "a share from 0 to 1, such as 0.98 or 98%")


def _within(value: float, most: float, text: str, wanted: str) -> float:
    if not (math.isfinite(value) and 0 <= value <= most):
        raise typer.BadParameter(f"{text!r} is out of range: give {wanted}")
    return value
