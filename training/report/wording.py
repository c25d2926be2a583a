"""Numbers and facts in words, the same on the page and in the model card."""

from __future__ import annotations

from training.report.contents import EvaluationReport, Score
from training.run import PLAIN, RunRecord, as_shown
from training.tagging.decoding import types_of

TITLES = {"calibration_error_before": "calibration error before scaling", "calibration_error": "calibration error"}
METHODS = {
    "full": "all weights trained",
    "lora": "low-rank updates trained",
    "bitfit": "the biases trained",
    "frozen": "only the head trained",
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
    done = (
        f", {record.effort.epochs} epochs (the best was the {_ordinal(record.effort.best_epoch)})"
        if record.effort
        else ""
    )
    method = METHODS.get(str(record.config.get("method", "full")), str(record.config.get("method")))
    source = report.data.path if report.data else "the data of the run"
    return (
        f"{record.encoder}{weights}; {method}{done} on {rows.get('train', 0):,} {texts} of {source}{_purpose(record)}. "
        f"{rows.get('validation', 0):,} validation rows chose the epoch and what is calibrated; "
        f"{rows.get('test', 0):,} test rows chose nothing and measure it."
    )


def _purpose(record: RunRecord) -> str:
    if record.task == "single_label_classification":
        return f", to give each one of {len(record.labels)} labels"
    if record.task == "multi_label_classification":
        return f", to say which of {len(record.labels)} labels apply, if any"
    if record.task == "token_classification":
        return f", to find entities of the types {', '.join(types_of(record.labels))}"
    if record.scale is not None:
        return ", to give each a number"
    if record.task == "pair_scoring":
        return ", to say how relevant the second is to the first"
    return f", for {record.task.replace('_', ' ')}"


def _epochs(run: int, best: int) -> str:
    return f", {run} epochs (the best was the {_ordinal(best)})" if run > 1 else ", 1 epoch"


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
