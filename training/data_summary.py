"""The data report on the terminal and as files."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from training.data_page import render
from training.data_report import DataReport

SHOWN_CLASSES = 12


def write_report(report: DataReport, out: Path) -> None:
    """Writes report.json and report.html into the folder."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.json").write_text(report.to_json(), encoding="utf-8")
    (out / "report.html").write_text(render(report), encoding="utf-8")


def summarise(report: DataReport, console: Console) -> None:
    """The report in a screenful."""
    parts = ", ".join(f"{count:,} {name}" for name, count in report.splits.items())
    console.print(
        f"[bold]{escape(report.path)}[/]: {report.rows_kept:,} of {report.rows_read:,} rows kept ({parts}), "
        f"{_labels(report)}, median {report.lengths.median} {report.lengths.unit}"
    )
    left_out = {
        "empty": report.empty,
        "exact duplicates": report.exact_duplicates,
        "near-duplicates": report.near_duplicates,
        "conflicting labels": len(report.conflicts),
    }
    console.print("left out or settled: " + ", ".join(f"{count:,} {name}" for name, count in left_out.items()))
    if report.classes:
        console.print(_class_table(report))
    for warning in report.warnings:
        console.print(f"[yellow]note[/] {escape(warning)}")


def _labels(report: DataReport) -> str:
    numbers = report.numbers
    if numbers is None:
        return f"{len(report.classes)} classes" if report.classes else "texts that belong together"
    if report.queries:
        parts = ", ".join(f"{count:,} {name}" for name, count in report.queries.items())
        grades = f"{numbers.lowest:.4g} to {numbers.highest:.4g}"
        return f"candidates of {sum(report.queries.values()):,} queries ({parts}), relevance {grades}"
    return f"numbers from {numbers.lowest:.4g} to {numbers.highest:.4g} with mean {numbers.mean:.4g}"


def _class_table(report: DataReport) -> Table:
    table = Table("label", box=None, pad_edge=False)
    for name in ("train", "validation", "test"):
        table.add_column(name, justify="right")
    ordered = report.listed_classes
    shown = (
        ordered if len(ordered) <= SHOWN_CLASSES else [*ordered[: SHOWN_CLASSES // 2], *ordered[-SHOWN_CLASSES // 2 :]]
    )
    for position, each in enumerate(shown):
        if len(shown) < len(ordered) and position == SHOWN_CLASSES // 2:
            table.add_row(f"[dim]... {len(ordered) - len(shown)} more[/]")
        table.add_row(escape(each.label), str(each.train), str(each.validation), str(each.test))
    return table
