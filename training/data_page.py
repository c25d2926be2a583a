"""Renders the data report as one self-contained HTML page."""

from __future__ import annotations

from importlib import resources

from training.inspection import DataReport


def render(report: DataReport) -> str:
    """The page as text. Every value is escaped: a row that holds markup is shown, never run."""
    from jinja2 import Environment, StrictUndefined

    template = resources.files("training").joinpath("templates/data_report.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    most = max(each.total for each in report.classes)
    fullest = max(count for _, count in report.lengths.histogram)
    classes = sorted(report.classes, key=lambda each: -each.total)
    return environment.from_string(template).render(
        report=report, classes=classes, most=most, fullest=max(1, fullest), dropped=report.rows_read - report.rows_kept
    )
