"""The report as one self-contained HTML page."""

from __future__ import annotations

import base64
from pathlib import Path

from training.headlines import as_shown, headline
from training.pages import render_page
from training.report import wording
from training.report.contents import Confusion, EvaluationReport, Explained, Piece
from training.run import RunDirectory, RunRecord

CAPTIONS = {"calibration.png": "Calibration: what the stated probabilities are worth"}
INSTEAD_OF = {"confusion.png", "labels.png"}
"""Pictures of which the page holds the numbers."""
WORDS_NAMED = 3
CLASSES_SHOWN = 20


def render(run: RunDirectory, record: RunRecord, report: EvaluationReport) -> str:
    """The page as text; pictures of the evaluation are inside."""
    return render_page(
        "evaluation_report.html",
        record=record,
        report=report,
        words=wording,
        shown=as_shown,
        summary=wording.summary(record, report),
        judged_by=headline(record.task, record.metrics["test"])[0],
        pictures=_pictures(run.evaluation, INSTEAD_OF if report.classes else set()),
        shown_classes=CLASSES_SHOWN,
        pairs=_without_reverse(report.confusions),
        strongest=_strongest,
        strength=_strength,
    )


def _pictures(folder: Path, without: set[str]) -> list[tuple[str, str]]:
    """(caption, data URI) of what the task drew."""
    found = sorted(path for path in folder.glob("*.png") if path.name not in without)
    return [
        (
            CAPTIONS.get(path.name, path.stem.replace("_", " ").capitalize()),
            "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii"),
        )
        for path in found
    ]


def _without_reverse(confusions: list[Confusion]) -> list[Confusion]:
    """Each pair once, the way that is more frequent; its reverse stands in the same line."""
    kept: list[Confusion] = []
    for each in confusions:
        if not any((other.truth, other.predicted) == (each.predicted, each.truth) for other in kept):
            kept.append(each)
    return kept


def _strongest(explained: Explained) -> list[Piece]:
    """The words that weigh most, either way."""
    words = [piece for piece in explained.pieces + explained.pair_pieces if piece.weight is not None]
    return sorted(words, key=lambda piece: -abs(piece.weight or 0.0))[:WORDS_NAMED]


def _strength(weight: float, explained: Explained) -> int:
    """0..100, of the strongest word."""
    most = max((abs(piece.weight or 0.0) for piece in _strongest(explained)), default=0.0)
    return round(100 * abs(weight) / most) if most else 0
