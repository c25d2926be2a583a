"""Which comparison a run's variants are judged by: one for each task whose outputs are decisions, numbers or orders."""

from __future__ import annotations

from collections.abc import Callable

from export.comparison import Comparison
from export.decisions import Decisions
from export.number_comparison import NumberComparison
from export.ranking_comparison import RankingComparison
from export.tag_comparison import TagComparison
from training.dataset import TaskName
from training.run import RunRecord


def comparison_of(record: RunRecord) -> Comparison:
    """That of the run's task, which is none of embedding."""
    return COMPARISONS[record.task](record)


def _numbers(record: RunRecord) -> Comparison:
    assert record.scale is not None  # every run of this task has one
    return NumberComparison(record.scale)


COMPARISONS: dict[TaskName, Callable[[RunRecord], Comparison]] = {
    "single_label_classification": Decisions.of,
    "multi_label_classification": Decisions.of,
    "token_classification": lambda record: TagComparison(record.labels, record.temperature),
    "regression": _numbers,
    "pair_scoring": lambda record: RankingComparison(record.temperature),
}
