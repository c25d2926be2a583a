"""The comparison's table writes each score in its own way."""

from __future__ import annotations

import pytest
from rich.console import Console

from training.measured_fit import MeasuredFit
from training.method_comparison import Measured, table
from training.run import Effort, RunRecord


@pytest.mark.parametrize(
    ("task", "scores", "written"),
    [
        ("single_label_classification", {"accuracy": 0.75}, ["validation accuracy", "75.0 %"]),
        ("embedding", {"spearman": 0.75}, ["validation Spearman", "0.75"]),
        ("embedding", {"mrr_at_10": 0.75, "spearman": 0.5}, ["validation MRR@10", "75.0 %"]),
    ],
)
def test_shares_are_percent_and_correlations_are_not(task: str, scores: dict[str, float], written: list[str]) -> None:
    record = RunRecord.model_construct(task=task, metrics={"validation": scores, "test": scores})
    effort = Effort(trained_weights=1, weights=4, epochs=2, best_epoch=1, seconds_per_epoch=0.5)
    console = Console(width=200)
    with console.capture() as shown:
        console.print(table([Measured("full", MeasuredFit(record, effort, 2**20))]))
    heading, row = shown.get().splitlines()
    assert written[0] in heading
    cells = [cell for cell in row.split("  ") if cell]
    assert [cell.strip() for cell in cells[-2:]] == [written[1]] * 2
