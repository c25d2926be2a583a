"""A choice as one self-contained HTML page."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

from export.choices import GOALS, Figures, Goal, HostChoice, Latency, Relative
from export.manifest import Manifest, Variant
from export.terms import terms_of
from export.tuning.pareto import front
from export.tuning.picture import panels, points
from export.tuning.quality import Quality, agreement_shown, quality_of
from training.pages import render_page

GOAL_TITLES: dict[Goal, str] = {"throughput": "Under load", "latency": "For a text alone"}


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the table."""

    cells: list[str]
    chosen: bool


def render(manifest: Manifest, choice: HostChoice, picture: Path) -> str:
    """The page as text; the picture is inside."""
    quality = quality_of(manifest)
    return render_page(
        "tuning_report.html",
        "export",
        manifest=manifest,
        choice=choice,
        quality=quality,
        tiles=_tiles(manifest, choice),
        warnings=_warnings(choice),
        picture="data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode("ascii"),
        reasons=[(GOAL_TITLES[goal], choice.variant(goal), choice.reasons[goal]) for goal in reversed(GOALS)],
        titles=titles(manifest, quality),
        rows=[Line(cells, chosen) for cells, chosen in lines(manifest, choice)],
        proven_rows=manifest.variants[0].parity.rows,
    )


def titles(manifest: Manifest, quality: Quality) -> list[str]:
    """Of the columns of `lines`."""
    terms = terms_of(manifest.task)
    proof = ["size", terms.agreement, quality.title, terms.drift]
    load = ["batch", "texts/s and core", "relative, load"]
    return ["variant", *proof, *load, "median ms", "p99 ms", "relative, alone", "all cores ms", "on the front"]


def lines(manifest: Manifest, choice: HostChoice) -> list[tuple[list[str], bool]]:
    """Cells of each variant, the fastest first, and whether it is chosen for anything."""
    variants = {variant.name: variant for variant in manifest.variants}
    quality = quality_of(manifest)
    fronts = [{each.name for each in front(points(panel, manifest, quality))} for panel in panels(choice)]
    chosen = {choice.variant(goal) for goal in GOALS}
    found = []
    for each in sorted(choice.measured, key=lambda figures: figures.throughput.ratio):
        held = [name for name, names in zip(("load", "alone"), fronts, strict=True) if each.variant in names]
        cells = [*_proof(manifest, variants[each.variant], quality), *_speed(each), ", ".join(held)]
        found.append((cells, each.variant in chosen))
    return found


def _proof(manifest: Manifest, variant: Variant, quality: Quality) -> list[str]:
    return [
        variant.name,
        f"{variant.file.size_bytes / 1e6:.1f} MB",
        agreement_shown(manifest, variant),
        quality.shown(variant.name),
        f"{100 * variant.parity.flips_with_batch_mates:.2f} %",
    ]


def _speed(each: Figures) -> list[str]:
    return [
        str(each.batch),
        f"{each.texts_per_second:.0f}",
        _ratio(each.throughput),
        f"{each.narrow.median_ms:.2f}",
        f"{each.narrow.p99_ms:.2f}",
        _ratio(each.narrow.relative),
        _wide(each.wide),
    ]


def _wide(latency: Latency | None) -> str:
    return "" if latency is None else f"{latency.median_ms:.2f} (p99 {latency.p99_ms:.2f})"


def _ratio(value: Relative) -> str:
    return f"{value.ratio:.2f} ({value.low:.2f}-{value.high:.2f})"


def _tiles(manifest: Manifest, choice: HostChoice) -> list[tuple[str, str]]:
    figures = {each.variant: each for each in choice.measured}
    load, alone = figures[choice.throughput], figures[choice.latency]
    return [
        (load.variant, "under load"),
        (f"{load.texts_per_second:.0f}", f"texts/s and core, {1 / load.throughput.ratio:.2f} x {choice.reference}"),
        (alone.variant, "for a text alone"),
        (
            f"{alone.narrow.median_ms:.2f} ms",
            f"median, {1 / alone.narrow.relative.ratio:.2f} x as fast as {choice.reference}",
        ),
    ]


def _warnings(choice: HostChoice) -> list[str]:
    if choice.quiet:
        return []
    return [
        "Other programs used the cores meanwhile: times on all cores are too long, and lone texts were compared on one thread. "
        "Ratios and their bounds hold, absolute figures are a lower bound of the speed."
    ]
