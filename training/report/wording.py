"""Numbers and facts in words, the same on the page and in the model card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from training.headlines import PLAIN, as_shown
from training.report.contents import EvaluationReport, Score
from training.run import Effort, RunRecord
from training.tagging.decoding import types_of

TITLES = {"calibration_error_before": "calibration error before scaling", "calibration_error": "calibration error"}
METHODS = {
    "full": "all weights trained",
    "frozen": "only the head trained",
    "bitfit": "the biases trained",
    "lora": "low-rank updates trained",
    "adalora": "low-rank updates trained, with more ranks where they matter",
    "prefix": "a prefix of each layer's keys and values trained",
    "adapters": "adapters in each layer trained",
}


@dataclass(frozen=True, slots=True)
class TaskWords:
    """What is said of a task wherever it is; what people use it for is in the model card's template."""

    purpose: Callable[[RunRecord], str]
    """Behind the texts that were trained on."""
    hub_task: str | None
    """Its name on the Hugging Face hub, where it has one."""


TASK_WORDS: dict[str, TaskWords] = {
    "single_label_classification": TaskWords(
        lambda record: f"to give each one of {len(record.labels)} labels", "text-classification"
    ),
    "multi_label_classification": TaskWords(
        lambda record: f"to say which of {len(record.labels)} labels apply, if any", "text-classification"
    ),
    "token_classification": TaskWords(
        lambda record: f"to find entities of the types {', '.join(types_of(record.labels))}", "token-classification"
    ),
    "regression": TaskWords(lambda _: "to give each a number", None),
    "pair_scoring": TaskWords(lambda _: "to say how relevant the second is to the first", "text-ranking"),
    "embedding": TaskWords(lambda _: "to give each text a vector near those of texts like it", "sentence-similarity"),
}


def title_of(metric: str, headline_title: str) -> str:
    """For a metric that stands alone, where a table's titles lean on one another."""
    return TITLES.get(metric, headline_title)


def shown_interval(metric: str, score: Score) -> str:
    """The interval, or nothing."""
    if score.interval is None:
        return ""
    low, high = score.interval
    return f"{low:.4g} to {high:.4g}" if metric in PLAIN else f"{100 * low:.1f} to {100 * high:.1f} %"


def shown_score(metric: str, score: Score | None) -> str:
    """The value, with the interval in brackets."""
    if score is None:
        return ""
    interval = shown_interval(metric, score)
    return as_shown(metric, score.value) + (f" ({interval})" if interval else "")


def percent(share: float) -> str:
    """With one decimal."""
    return f"{100 * share:.1f} %"


def summary(record: RunRecord, report: EvaluationReport) -> str:
    """What was trained on what, in a sentence or two."""
    texts = "pairs of texts" if record.pair else "texts"
    rows = report.splits
    weights = f", {record.effort.weights / 1e6:.1f} million weights" if record.effort else ""
    done = _epochs(record.effort) if record.effort else ""
    method = METHODS.get(str(record.config.get("method", "full")), str(record.config.get("method")))
    source = report.data.path if report.data else "the data of the run"
    purpose = TASK_WORDS[record.task].purpose(record)
    chosen = "the epoch and what is calibrated" if "calibration_error" in record.metrics["test"] else "the epoch"
    return (
        f"{record.encoder}{weights}; {method}{done} on {rows.get('train', 0):,} {texts} of {source}, {purpose}. "
        f"{rows.get('validation', 0):,} validation rows chose {chosen}; "
        f"{rows.get('test', 0):,} test rows chose nothing and measure it."
    )


def resampled(record: RunRecord) -> str:
    """What the bootstrap draws from: measures of rankings are means over queries."""
    return "queries" if {"mrr", "mrr_at_10"} & record.metrics["test"].keys() else "rows"


def _epochs(effort: Effort) -> str:
    if effort.epochs == 1:
        return ", 1 epoch"
    return f", {effort.epochs} epochs (the best was the {_ordinal(effort.best_epoch)})"


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
