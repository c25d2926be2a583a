"""From a complete run to its report, and where that is kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from training.atomic_files import replace_file
from training.data_report import DataReport
from training.dataset import Split
from training.duplicates import Progress
from training.host import describe_host
from training.preparation import silent
from training.records import read_record, write_record
from training.report.answers import TASKS
from training.report.card import render_card
from training.report.contents import DataBrief, EvaluationReport, Reproduction, Variants
from training.report.measuring import headlines, measured_parts
from training.report.page import render
from training.report.settings import ReportSettings
from training.run import RunDirectory, RunRecord
from training.settings_reading import validated


def chosen_settings(run: RunDirectory, record: RunRecord, wanted: Mapping[str, object]) -> ReportSettings:
    """Those that are wanted; for the rest those of the stored report, or that the run was trained with.

    Raises InvalidSettings that names each wrong field.
    """
    stored = stored_report(run, record)
    known = stored.settings.model_dump() if stored is not None else record.config.get("report") or {}
    assert isinstance(known, dict)
    return validated(ReportSettings, {**known, **wanted})


def report_of(
    run: RunDirectory, record: RunRecord, settings: ReportSettings, progress: Progress = silent
) -> EvaluationReport:
    """The stored report of this run, whatever its settings; made and written where there is none."""
    return stored_report(run, record) or renewed_report(run, record, settings, progress)


def renewed_report(
    run: RunDirectory, record: RunRecord, settings: ReportSettings, progress: Progress = silent
) -> EvaluationReport:
    """Made anew and written. What an export said of the same run stays."""
    stored = stored_report(run, record)
    report = make_report(run, record, settings, progress)
    if stored is not None:
        report = report.model_copy(update={"variants": stored.variants})
    write_report(run, record, report)
    return report


def make_report(
    run: RunDirectory, record: RunRecord, settings: ReportSettings, progress: Progress = silent
) -> EvaluationReport:
    """Measures what the task and the settings ask for. Changes no file."""
    brief = brief_report(run, record, settings)
    if record.task not in TASKS:
        return brief
    return brief.model_copy(update=measured_parts(run, record, settings, progress))


def brief_report(run: RunDirectory, record: RunRecord, settings: ReportSettings) -> EvaluationReport:
    """What the record and the data report say, without the checkpoint: all there is of tasks that give no labels."""
    import yaml

    return EvaluationReport(
        run_create_time=record.create_time,
        step_fingerprint=record.step_fingerprint,
        settings=settings,
        headlines=headlines(record, {Split.TEST: record.intervals}),
        attention=[],
        data=_data(run),
        splits=_splits(run),
        reproduction=Reproduction(
            settings=yaml.safe_dump(record.config, allow_unicode=True, sort_keys=False),
            seed=seed if isinstance(seed := record.config.get("seed"), int) else None,
            host=describe_host(),
        ),
    )


def stored_report(run: RunDirectory, record: RunRecord) -> EvaluationReport | None:
    """The report of exactly this run; None when there is none, or one that another version of this program wrote."""
    report = read_record(run.evaluation / "report.json", EvaluationReport)
    if report is None:
        return None
    same = (report.run_create_time, report.step_fingerprint) == (record.create_time, record.step_fingerprint)
    return report if same else None


def write_report(run: RunDirectory, record: RunRecord, report: EvaluationReport) -> None:
    """evaluation/report.html and model_card.md, then report.json, each as a whole."""
    run.evaluation.mkdir(parents=True, exist_ok=True)
    _write(run.evaluation / "report.html", render(run, record, report))
    _write(run.evaluation / "model_card.md", render_card(record, report))
    write_record(run.evaluation / "report.json", report)


def with_variants(run: RunDirectory, record: RunRecord, variants: Variants) -> EvaluationReport:
    """The report with what an export made of the run: the stored one, else the brief one. Writes nothing."""
    report = stored_report(run, record) or brief_report(run, record, chosen_settings(run, record, {}))
    return report.model_copy(update={"variants": variants})


def _write(path: Path, text: str) -> None:
    replace_file(path, lambda aside: aside.write_text(text, encoding="utf-8"))


def _data(run: RunDirectory) -> DataBrief | None:
    report = read_record(run.data / "report.json", DataReport)
    if report is None:
        return None
    left_out = {
        "without a label": report.unlabelled,
        "empty": report.empty,
        "exact duplicates": report.exact_duplicates,
        "near-duplicates": report.near_duplicates,
        "of classes too rare": sum(report.dropped_classes.values()),
    }
    return DataBrief(
        path=report.path,
        rows_read=report.rows_read,
        rows_kept=report.rows_kept,
        left_out={name: count for name, count in left_out.items() if count},
        warnings=report.warnings,
    )


def _splits(run: RunDirectory) -> dict[str, int]:
    """Rows of each split, counted in the files that were trained on."""
    counts = {}
    for split in Split:
        path = run.data / f"{split}.jsonl"
        if path.is_file():
            with path.open(encoding="utf-8") as file:
                counts[split.value] = sum(1 for _ in file)
    return counts
