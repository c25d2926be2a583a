"""Renders the data report as one self-contained HTML page."""

from __future__ import annotations

from training.data_report import DataReport
from training.pages import render_page


def render(report: DataReport) -> str:
    """The page as text."""
    most = max((each.total for each in report.classes), default=1)
    fullest = max(count for _, count in report.lengths.histogram)
    return render_page(
        "data_report.html",
        report=report,
        most=most,
        fullest=max(1, fullest),
        dropped=report.rows_read - report.rows_kept,
    )
