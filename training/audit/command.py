"""`python -m training audit` and `correct`: the findings on the terminal and as files, and the way back into the data."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from training.audit.confidence import judge_labels, require_cleanlab
from training.audit.corrections import corrected, read_corrections
from training.audit.data_file import require_new_csv, write_rows
from training.audit.findings import Findings, describe
from training.audit.folds import Folds, make_folds
from training.audit.page import render
from training.audit.settings import AuditSettings
from training.audit.sheet import write_sheet
from training.data_settings import DataSettings
from training.preparation import DistinctRows, distinct_rows
from training.progress import listener

SHOWN_ROWS = 10
SHOWN_CHARACTERS = 60


def audit(
    settings: AuditSettings, out: Path, console: Console, every_row: bool = False, cleaned: Path | None = None
) -> Findings:
    """Audits the labels, writes audit.csv and audit.html into `out` and, if asked, the rows without issues to `cleaned`."""
    begun = time.monotonic()
    require_cleanlab()
    rows = _distinct_rows(settings.data, cleaned, "--write-cleaned", console)
    folds = make_folds(rows.examples, rows.groups, settings)
    probabilities = _probabilities(folds, settings, out, console)
    findings = describe(settings, rows, folds, probabilities, judge_labels(folds.truth, probabilities))
    out.mkdir(parents=True, exist_ok=True)
    write_sheet(findings, out / "audit.csv", every_row)
    (out / "audit.html").write_text(render(findings, out / "audit.csv"), encoding="utf-8")
    summarise(findings, time.monotonic() - begun, console)
    if cleaned is not None:
        _write_without_issues(rows, findings, cleaned, console)
    console.print(
        f"[bold]audit[/] {escape(str(out / 'audit.html'))}  {escape(str(out / 'audit.csv'))}", highlight=False
    )
    return findings


def correct(settings: DataSettings, corrections: Path, out: Path, console: Console) -> None:
    """Writes the data to `out` with the labels that a person wrote into a reviewed audit.csv."""
    rows = _distinct_rows(settings, out, "--out", console)
    found = read_corrections(corrections, rows.examples)
    kept = list(corrected(rows.examples, found))
    write_rows(rows, kept, out)
    removed = len(rows.examples) - len(kept)
    console.print(
        f"[bold]wrote[/] {escape(str(out))}: {len(kept):,} rows, {len(found) - removed:,} labels corrected, "
        f"{removed:,} rows left out",
        highlight=False,
    )


def summarise(findings: Findings, seconds: float, console: Console) -> None:
    """The findings in a screenful."""
    console.print(
        f"[bold]{escape(findings.settings.data.path)}[/]: {len(findings.issues):,} of {len(findings.verdicts):,} labels are "
        f"most likely wrong; estimated noise {100 * findings.noise_rate:.1f} %; models that did not see a row agree with "
        f"{100 * findings.agreement:.1f} % of the labels ({seconds:.0f} s)",
        highlight=False,
    )
    for label, count in findings.left_out.items():
        console.print(
            f"[yellow]note[/] {escape(repr(label))} is not judged: its {count} rows look alike, so none can vouch for another"
        )
    table = Table("line", "text", "label", "suggested", "quality", box=None, pad_edge=False)
    for verdict in findings.issues[:SHOWN_ROWS]:
        text = verdict.example.text
        short = text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS].rstrip() + "..."
        table.add_row(
            str(verdict.example.row),
            escape(short),
            escape(verdict.example.label),
            escape(verdict.suggested),
            f"{verdict.quality:.3f}",
        )
    if findings.issues:
        console.print(table)


def _distinct_rows(settings: DataSettings, written: Path | None, option: str, console: Console) -> DistinctRows:
    """Reads the data, after making sure that the file to be written is none of its own."""
    own = (settings.path, settings.validation_path, settings.test_path)
    if written is not None:
        require_new_csv(written, option, filter(None, own))
    with listener(console) as progress:
        rows = distinct_rows(settings, progress)
    if written is not None:
        require_new_csv(written, option, rows.reading.sources)
    return rows


def _probabilities(folds: Folds, settings: AuditSettings, out: Path, console: Console) -> NDArray[np.float64]:
    if settings.via == "fine-tuning":
        from training.audit.by_fine_tuning import probabilities_by_fine_tuning

        return probabilities_by_fine_tuning(folds, settings, out / "folds", console)
    from training.audit.by_vectors import probabilities_by_vectors

    with listener(console) as progress:
        return probabilities_by_vectors(folds, settings, progress)


def _write_without_issues(rows: DistinctRows, findings: Findings, path: Path, console: Console) -> None:
    issues = {id(verdict.example) for verdict in findings.issues}
    kept = [example for example in rows.examples if id(example) not in issues]
    write_rows(rows, kept, path)
    console.print(
        f"[bold]wrote[/] {escape(str(path))}: {len(kept):,} of {findings.rows_read:,} rows; left out: {len(issues):,} issues "
        f"and {findings.rows_read - len(kept) - len(issues):,} empty, unlabelled, repeated or contradictory rows",
        highlight=False,
    )
