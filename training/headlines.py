"""Scores for people: which ones are shown of each task, what they are called, and how they are written."""

from __future__ import annotations

from collections.abc import Iterable

HEADLINES: dict[str, dict[str, str]] = {
    "single_label_classification": {
        "accuracy": "accuracy",
        "macro_f1": "macro F1",
        "weighted_f1": "weighted F1",
        "calibration_error_before": "calibration error before",
        "calibration_error": "after",
    },
    "token_classification": {
        "micro_f1": "entity F1",
        "precision": "precision",
        "recall": "recall",
        "macro_f1": "macro F1",
        "calibration_error_before": "calibration error before",
        "calibration_error": "after",
    },
    "multi_label_classification": {
        "micro_f1": "micro F1",
        "macro_f1": "macro F1",
        "exact_match": "all labels right",
        "mean_average_precision": "mean average precision",
        "calibration_error_before": "calibration error before",
        "calibration_error": "after",
    },
    "regression": {
        "r2": "R²",
        "mae": "mean absolute error",
        "rmse": "root mean squared error",
        "pearson": "Pearson",
        "spearman": "Spearman",
    },
    "pair_scoring": {
        "ndcg_at_10": "nDCG@10",
        "mrr": "MRR",
        "map": "MAP",
        "calibration_error_before": "calibration error before",
        "calibration_error": "after",
    },
    "embedding": {
        "mrr_at_10": "MRR@10",
        "recall_at_1": "recall@1",
        "recall_at_5": "recall@5",
        "recall_at_10": "recall@10",
        "ndcg_at_10": "nDCG@10",
        "spearman": "Spearman",
        "pearson": "Pearson",
        "mean_average_precision": "mean average precision",
        "neighbour_accuracy": "nearest has the same label",
    },
}
"""Metrics of a record that are shown, and their titles; the first one that it has is what a model is judged by."""

PLAIN = {"mae", "rmse", "pearson", "spearman"}
"""Metrics in the units of the data, and correlations; all others are shares of 1, shown as percent."""


def as_shown(metric: str, value: float) -> str:
    """A metric for people."""
    return f"{value:.4g}" if metric in PLAIN else f"{100 * value:.1f} %"


def shown(task: str, scores: Iterable[str]) -> dict[str, str]:
    """The metrics that are shown, and their titles, of those in `scores`."""
    having = set(scores)
    return {name: title for name, title in HEADLINES[task].items() if name in having}


def headline(task: str, scores: Iterable[str] | None = None) -> tuple[str, str]:
    """The metric that a task's models are judged by, of those in `scores`: its name in records, and for people."""
    return next(iter((HEADLINES[task] if scores is None else shown(task, scores)).items()))
