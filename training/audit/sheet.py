"""audit.csv: the findings as a table that is safe to open in a spreadsheet.

A cell that begins with = + - or @ is a formula to a spreadsheet, and texts come from strangers. Such a cell gets an
apostrophe in front (OWASP, "CSV Injection"). The full-width forms count too, as some locales read them alike; and what
follows a semicolon, because a spreadsheet of another locale splits there, also within quotes.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

from training.audit.findings import Findings, Verdict, row_id

COLUMNS = (
    "source",
    "line",
    "text",
    "text_pair",
    "given_label",
    "suggested_label",
    "label_quality",
    "given_probability",
    "suggested_probability",
    "issue",
    "corrected_label",
    "row_id",
)
FORMULA = re.compile(r"(^\s*|[;\t\r\n]\s*)(?=[=+\-@＝＋－＠])")


def guarded(cell: str) -> str:
    """The cell with an apostrophe wherever a formula could begin; most cells come back as they are."""
    return FORMULA.sub(r"\1'", cell)


def write_sheet(findings: Findings, path: Path, every_row: bool) -> None:
    """Writes the issues, or every judged row, worst first. UTF-8 with a byte order mark, so that Excel shows Chinese."""
    verdicts = findings.verdicts if every_row else findings.issues
    pair = any(verdict.example.text_pair is not None for verdict in verdicts)
    columns = [name for name in COLUMNS if pair or name != "text_pair"]
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, columns, quoting=csv.QUOTE_ALL, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(_cells(verdict) for verdict in verdicts)


def _cells(verdict: Verdict) -> dict[str, str]:
    example = verdict.example
    return {
        "source": guarded(example.source),
        "line": str(example.row),
        "text": guarded(example.text),
        "text_pair": guarded(example.text_pair or ""),
        "given_label": guarded(example.label),
        "suggested_label": guarded(verdict.suggested),
        "label_quality": f"{verdict.quality:.4f}",
        "given_probability": f"{verdict.given_probability:.4f}",
        "suggested_probability": f"{verdict.suggested_probability:.4f}",
        "issue": "yes" if verdict.issue else "no",
        "corrected_label": "",
        "row_id": row_id(example),
    }
