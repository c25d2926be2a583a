"""Quality against speed, as a picture: a bubble a variant, its area the size of its file, the front, the choice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.choices import Goal, HostChoice
from export.manifest import Manifest
from export.tuning.pareto import Point, front
from export.tuning.quality import Quality, quality_of
from training.figures import drawable, figure
from training.headlines import PLAIN

BLUE, AMBER, GREY, INK = "#3d6fb4", "#e0a13a", "#9aa6b5", "#1c2430"
PERCENT = 100.0
DPI = 110
LEAST_RANGE = {True: 0.01, False: 1.0}
"""Of the axis of quality (plain numbers, percent): less would make much of nothing."""
BUBBLE_AREA = 900.0
"""Of the largest file, in points squared."""
ANGLES = (0, 180, 90, 270, 45, 135, 315, 225, 20, 160, 340, 200, 70, 110, 290, 250)
REACHES = (1.2, 2.2, 3.2, 4.4, 5.8, 7.4, 9.2, 11.2)
AROUND = [(angle, reach) for reach in REACHES for angle in ANGLES]
"""Where a name may stand: degrees, and distance in heights of a line, the preferred ones first."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One goal."""

    goal: Goal
    title: str
    axis: str
    values: dict[str, float]
    """What the axis shows, by variant."""
    less_is_better: bool


def plot_choice(manifest: Manifest, choice: HostChoice, path: Path) -> None:
    """As a PNG file."""
    drawn(manifest, choice).savefig(path, dpi=DPI)


def drawn(manifest: Manifest, choice: HostChoice) -> Any:
    """A matplotlib Figure of two panels, load and lone texts."""
    quality = quality_of(manifest)
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    picture = figure(12.0, 6.2)
    # names are placed by what they cover, which only a canvas knows
    FigureCanvasAgg(picture)
    picture.set_dpi(DPI)
    first, second = picture.subplots(1, 2, sharey=True)
    panelled = [
        (axes, _draw(axes, panel, manifest, choice, quality))
        for axes, panel in zip((first, second), panels(choice), strict=True)
    ]
    first.set_ylabel(quality.title + ("" if quality.metric in PLAIN else ", %"))
    _name(picture, manifest, choice)
    # once everything else has its place
    picture.draw_without_rendering()
    picture.set_layout_engine("none")
    for axes, named in panelled:
        _write_names(axes, named)
    return picture


def panels(choice: HostChoice) -> tuple[Panel, Panel]:
    """Texts a second and milliseconds."""
    device = "" if choice.host_class.startswith(("cuda", "tensorrt")) else " and core"
    return (
        Panel(
            "throughput",
            "Under load",
            f"texts a second{device}, sorted batches",
            {each.variant: each.texts_per_second for each in choice.measured},
            False,
        ),
        Panel(
            "latency",
            "A text alone",
            "milliseconds, median" + (" on one thread" if device else ""),
            {each.variant: each.narrow.median_ms for each in choice.measured},
            True,
        ),
    )


def points(panel: Panel, manifest: Manifest, quality: Quality) -> list[Point]:
    """Variants that were measured; speed is what is better when it is more."""
    sizes = {variant.name: variant.file.size_bytes for variant in manifest.variants}
    speeds = {name: 1 / value if panel.less_is_better else value for name, value in panel.values.items()}
    return [Point(name, speed, quality.values[name], sizes[name]) for name, speed in speeds.items()]


def _name(picture: Any, manifest: Manifest, choice: HostChoice) -> None:
    lengths = f"{choice.lengths.median} tokens a text (99th percentile {choice.lengths.p99})"
    if drawable([choice.lengths.source]) == [choice.lengths.source]:
        lengths += f", {choice.lengths.source}"
    picture.suptitle(f"{manifest.name} {manifest.version} on {choice.host_class}: {lengths}", fontsize=11)
    dots = (("o", BLUE, "on the front"), ("o", GREY, "beaten at both"), ("*", AMBER, "chosen"))
    handles = [picture.axes[0].scatter([], [], marker=m, color=c, s=60, label=name) for m, c, name in dots]
    picture.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=9, frameon=False)


Named = list[tuple[Point, float, float]]
"""Variants with their places on the axes."""


def _draw(axes: Any, panel: Panel, manifest: Manifest, choice: HostChoice, quality: Quality) -> Named:
    scale = 1.0 if quality.metric in PLAIN else PERCENT
    every = points(panel, manifest, quality)
    best = front(every)
    _limits(axes, panel, every, quality, scale)
    axes.plot(
        [panel.values[point.name] for point in best],
        [scale * point.quality for point in best],
        color=BLUE,
        linewidth=1.2,
        linestyle=":",
        zorder=1,
    )
    if quality.checkpoint is not None:
        axes.axhline(scale * quality.checkpoint, color=GREY, linewidth=1, linestyle="--", zorder=0)
    largest = max(point.size_bytes for point in every)
    for point in every:
        place = panel.values[point.name], scale * point.quality
        colour = BLUE if point in best else GREY
        axes.scatter(*place, s=BUBBLE_AREA * point.size_bytes / largest, color=colour, alpha=0.35, linewidths=0)
        axes.scatter(*place, s=14, color=colour, zorder=3)
        if point.name == choice.variant(panel.goal):
            axes.scatter(*place, s=170, marker="*", color=AMBER, edgecolors=INK, linewidths=0.6, zorder=4)
    axes.set_title(panel.title)
    axes.set_xlabel(panel.axis + (" (less is better)" if panel.less_is_better else ""))
    axes.grid(color="#e8ecf1", linewidth=0.8)
    axes.set_axisbelow(True)
    return [(point, panel.values[point.name], scale * point.quality) for point in every]


def _limits(axes: Any, panel: Panel, every: Sequence[Point], quality: Quality, scale: float) -> None:
    """Room for bubbles and names; on the right of both panels it is fast."""
    heights = [scale * point.quality for point in every]
    heights += [] if quality.checkpoint is None else [scale * quality.checkpoint]
    middle = (max(heights) + min(heights)) / 2
    half = 0.75 * max(max(heights) - min(heights), LEAST_RANGE[quality.metric in PLAIN])
    axes.set_ylim(middle - half, middle + half)
    low, high = min(panel.values.values()), max(panel.values.values())
    room = 0.25 * ((high - low) or high)
    ends = max(0.0, low - room), high + room
    axes.set_xlim(*(reversed(ends) if panel.less_is_better else ends))


def _write_names(axes: Any, named: Named) -> None:
    """Beside each dot its name and size, where it covers no other name and no dot; a line leads to it where it is far."""
    from matplotlib.text import Text

    renderer = axes.figure.canvas.get_renderer()
    frame = axes.get_window_extent(renderer)
    dots = [axes.transData.transform((x, y)) for _, x, y in named]
    taken: list[Any] = []
    for (point, x, y), _ in sorted(zip(named, dots, strict=True), key=lambda each: -each[1][1]):
        tried: list[Any] = []
        for angle, reach in AROUND:
            text = axes.annotate(
                f"{point.name}  {point.size_bytes / 1e6:.0f} MB", (x, y), **_beside(angle, reach), fontsize=9, color=INK
            )
            text.set_zorder(5)
            text.update_positions(renderer)
            # of an annotation, the extent has its line in it
            box = Text.get_window_extent(text, renderer)
            tried.append((_cost(box, frame, taken, dots), len(tried), text, box))
            if tried[-1][0] == 0:
                break
        best = min(tried, key=lambda each: each[:2])
        for each in tried:
            if each is not best:
                each[2].remove()
        taken.append(best[3])


def _beside(angle: float, reach: float) -> dict[str, Any]:
    """Arguments of `annotate`."""
    across, up = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    place: dict[str, Any] = {
        "xytext": (13 * reach * across, 13 * reach * up),
        "textcoords": "offset points",
        "ha": "left" if across > 0.1 else "right" if across < -0.1 else "center",
        "va": "bottom" if up > 0.1 else "top" if up < -0.1 else "center",
    }
    if reach > 2:
        place["arrowprops"] = {"arrowstyle": "-", "color": GREY, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 2}
    return place


def _cost(box: Any, frame: Any, taken: Sequence[Any], dots: Sequence[Any]) -> float:
    """0 where a name covers nothing and stands within the frame."""
    covered = sum(box.padded(3).overlaps(other) for other in taken)
    hidden = sum(bool(box.padded(4).contains(*dot)) for dot in dots)
    outside = 0 if frame.x0 < box.x0 and box.x1 < frame.x1 and frame.y0 < box.y0 and box.y1 < frame.y1 else 1
    return float(4 * covered + 2 * hidden + 3 * outside)
