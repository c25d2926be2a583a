"""Renders the findings as one self-contained HTML page."""

from __future__ import annotations

import shlex
from pathlib import Path

from training.audit.findings import Findings
from training.data_settings import DataSettings
from training.pages import render_page

SHOWN = 100
"""Rows on the page; the sheet has all of them."""


def render(findings: Findings, sheet: Path) -> str:
    """The page as text; `sheet` is where audit.csv was written, for the commands that it shows."""
    issues = findings.issues
    return render_page(
        "label_audit.html",
        findings=findings,
        issues=len(issues),
        shown=(issues or findings.verdicts)[:SHOWN],
        most=max(each.issues / each.rows for each in findings.classes),
        correct=correct_command(findings.settings.data, sheet),
    )


def correct_command(data: DataSettings, sheet: Path) -> str:
    """The shell command that takes the reviewed sheet back, with the options by which this data is read."""
    words = ["python", "-m", "training", "correct", "--data", data.path]
    options = {
        "--text": data.text,
        "--text-pair": data.text_pair,
        "--label": data.label,
        "--split": data.split,
        "--encoding": data.encoding,
        "--validation": data.validation_path,
        "--test": data.test_path,
    }
    for option, value in options.items():
        words += [option, value] if value is not None else []
    words += ["--drop-rare-classes"] if data.drop_rare_classes else []
    return shlex.join([*words, "--corrections", str(sheet), "--out", "corrected.csv"])
