"""The page of a study: what was tried, what won, which settings mattered."""

from __future__ import annotations

from pathlib import Path

from training.atomic_files import replace_file
from training.pages import render_page
from training.search import charts
from training.search.results import StudyResult, TrialResult
from training.search.space import SearchSpace
from training.search.wording import percent, shown_value, verdict
from training.settings import FineTuneSettings


def write_report(
    result: StudyResult,
    importances: dict[str, float],
    space: SearchSpace,
    settings: FineTuneSettings,
    rows: int,
    path: Path,
) -> None:
    """Writes one self-contained HTML file; replaces it at once.

    Args:
        result: All trials.
        importances: Setting -> share of variance in [0, 1]; may be empty.
        space: What varied.
        settings: What the search started from.
        rows: Size of the validation split.
        path: The file.
    """
    some = any(trial.scores for trial in result.finished)
    page = render_page(
        "search_report.html",
        settings=settings,
        verdict=verdict(result, rows),
        tiles=_tiles(result),
        names=list(space.dimensions()),
        trials=[_row(trial, result) for trial in _ranked(result)],
        space=[_span(name, space, settings) for name in space.dimensions()],
        history=charts.history(result) if some else None,
        curves=charts.curves(result) if some else None,
        importances=charts.importance_bars(importances) if importances else None,
        slices=charts.slices(result, space) if some else None,
    )
    replace_file(path, lambda aside: aside.write_text(page, encoding="utf-8"))


def _tiles(result: StudyResult) -> list[tuple[str, str]]:
    best, start = result.best, result.start
    counts = {
        state: sum(trial.state == state for trial in result.trials)
        for state in ("complete", "pruned", "failed", "lost")
    }
    seconds = sum(trial.seconds or 0.0 for trial in result.trials)
    tiles = [
        (
            percent(best.score) if best else "–",
            f"best validation accuracy, trial {best.number}" if best else "no trial yet",
        ),
        (percent(start.score) if start else "–", "the settings it started from"),
        (str(counts["complete"]), "trials complete"),
        (str(counts["pruned"]), "stopped early"),
        (f"{seconds / 60:.1f} min", "training in all workers"),
    ]
    if counts["failed"] or counts["lost"]:
        tiles.append((f"{counts['failed']} / {counts['lost']}", "failed / lost and run again"))
    return tiles


def _ranked(result: StudyResult) -> list[TrialResult]:
    """Complete trials by score, then the others by number."""
    order = {"complete": 0, "pruned": 1}
    return sorted(result.trials, key=lambda trial: (order.get(trial.state, 2), -(trial.score or 0.0), trial.number))


def _row(trial: TrialResult, result: StudyResult) -> dict[str, object]:
    best = result.best
    state = {"complete": "", "pruned": "stopped early", "lost": "lost its worker"}.get(trial.state, trial.state)
    return {
        "number": trial.number,
        "note": ", ".join(filter(None, ("start" if trial.start else "", state, trial.failure or ""))),
        "best": best is not None and trial.number == best.number,
        "score": percent(trial.score),
        "epochs": len(trial.scores),
        "seconds": f"{trial.seconds:.0f}" if trial.seconds is not None else "",
        "values": {name: shown_value(value) for name, value in trial.parameters.items()},
    }


def _span(name: str, space: SearchSpace, settings: FineTuneSettings) -> tuple[str, str, str]:
    dimension = space.dimensions()[name]
    if dimension.choices is not None:
        text = ", ".join(map(str, dimension.choices))
    else:
        how = " (log)" if dimension.log else f" in steps of {shown_value(dimension.step)}" if dimension.step else ""
        text = " to ".join(shown_value(end) for end in dimension.ends()) + how
    return name, text, shown_value(getattr(settings, name))
