"""The model card in Markdown, with the metadata head that the Hugging Face hub reads: of a run, and of the bundle made of it."""

from __future__ import annotations

import re
from pathlib import Path

from training.encoders import PACKAGED
from training.headlines import as_shown, headline
from training.pages import Markdown, render_markdown
from training.report import wording
from training.report.contents import EvaluationReport
from training.run import RunRecord
from training.scope.record import SCOPE_TITLES

PACKAGED_ORIGIN = "sentence-transformers/all-MiniLM-L6-v2"
HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
HUB_METRICS = {"accuracy": "accuracy", "macro_f1": "f1", "micro_f1": "f1", "weighted_f1": "f1"}


def render_card(record: RunRecord, report: EvaluationReport) -> str:
    """The card; with the report's variants, if there are any, it is that of a bundle."""
    return render_markdown(
        "model_card.md",
        head=Markdown(_head(record, report)),
        record=record,
        report=report,
        words=wording,
        shown=as_shown,
        summary=wording.summary(record, report),
        judged_by=headline(record.task, record.metrics["test"])[0],
        code=_code,
        scope_titles=SCOPE_TITLES,
    )


def _head(record: RunRecord, report: EvaluationReport) -> str:
    """YAML."""
    import yaml

    head: dict[str, object] = {"license": report.settings.license or "unknown"}
    if record.encoder == PACKAGED:
        head["base_model"] = PACKAGED_ORIGIN
    elif HUB_ID.fullmatch(record.encoder) and not Path(record.encoder).exists():
        head["base_model"] = record.encoder
    task = wording.TASK_WORDS[record.task].hub_task
    if task is not None:
        head |= {"pipeline_tag": task, "model-index": [_results(record, report, task)]}
    head["tags"] = ["bertline", record.task.replace("_", "-")]
    return yaml.safe_dump(head, allow_unicode=True, sort_keys=False)


def _results(record: RunRecord, report: EvaluationReport, task: str) -> dict[str, object]:
    name = Path(report.data.path).name if report.data else record.name
    metrics = [
        {"type": HUB_METRICS[each.metric], "name": f"test {each.title}", "value": round(each.test.value, 4)}
        for each in report.headlines
        if each.metric in HUB_METRICS and each.test is not None
    ]
    dataset = {"type": "text", "name": name, "split": "test"}
    return {"name": record.name, "results": [{"task": {"type": task}, "dataset": dataset, "metrics": metrics}]}


def _code(text: str) -> Markdown | str:
    """As code, in which nothing is markup; text that would end the code is escaped instead."""
    return text if re.search(r"[`|\n\r]", text) else Markdown(f"`{text}`")
