"""How relevant a candidate is to a query: a cross-encoder reads both, and its scores rank the candidates of a query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from training.calibration import Reliability, binned, expected_calibration_error, fit_relevance, sigmoid
from training.dataset import Dataset, Example, Split
from training.duplicates import query_identity
from training.intervals import Interval, bootstrap
from training.plots import plot_calibration
from training.ranking_losses import ListwiseSoftmaxLoss, PointwiseLoss, RankNetLoss
from training.settings import FineTuneSettings
from training.tasks.files import write_metrics, write_predictions
from training.tasks.ranking_evaluation import mean_scores, query_scores
from training.tasks.task import Logits, Measured, Truth

AXES = ("stated relevance", "mean relevance of the rows")
LOSSES = {"ranknet": RankNetLoss, "listwise_softmax": ListwiseSoftmaxLoss}


class PairScoring:
    """Binary cross-entropy or a ranking loss; nDCG@10 by query; relevance by Platt scaling."""

    def truth(self, examples: Sequence[Example], labels: Sequence[str]) -> Truth:
        """Relevance in [0, 1] and number of the query, float32 [rows, 2]."""
        return relevance_and_query([example.target or 0.0 for example in examples], examples)

    def loss(self, settings: FineTuneSettings, dataset: Dataset) -> nn.Module:
        """Of each row by itself, or of the order of a query's candidates."""
        return LOSSES.get(settings.loss or "", PointwiseLoss)()

    def score(self, logits: Logits, truth: Truth) -> float:
        """nDCG@10, mean over the queries."""
        return mean_scores(query_scores(logits[:, 0], truth))["ndcg_at_10"]

    def measured(self, logits: Mapping[Split, Logits], dataset: Dataset) -> Measured:
        """nDCG@10, MRR, MAP and calibration error of both splits."""
        truths = {
            Split.VALIDATION: self.truth(dataset.validation, dataset.labels),
            Split.TEST: self.truth(dataset.test, dataset.labels),
        }
        known = truths[Split.VALIDATION][:, 0].astype(np.float32, copy=False)
        temperature, shift = fit_relevance(logits[Split.VALIDATION][:, 0], known)
        stated = {split: sigmoid((logits[split][:, 0] + np.float32(shift)) / temperature) for split in truths}
        bins = {split: binned(stated[split], truths[split][:, 0]) for split in truths}
        raw = {split: binned(sigmoid(logits[split][:, 0]), truths[split][:, 0]) for split in truths}
        by_query = {split: query_scores(logits[split][:, 0], truths[split]) for split in truths}
        metrics = {
            split.value: {
                **mean_scores(by_query[split]),
                "calibration_error_before": expected_calibration_error(raw[split]),
                "calibration_error": expected_calibration_error(bins[split]),
            }
            for split in truths
        }
        return MeasuredRanking(
            temperature=temperature,
            metrics=metrics,
            shift=shift,
            examples=dataset.test,
            stated=stated[Split.TEST],
            by_query=by_query,
            before=raw[Split.TEST],
            after=bins[Split.TEST],
        )


@dataclass(frozen=True, kw_only=True)
class MeasuredRanking(Measured):
    """Of the test split `examples`, `stated` relevance [rows], and reliability without and with Platt scaling; the scores of
    single queries, [queries, metrics], of both splits."""

    examples: list[Example]
    stated: NDArray[np.float64]
    by_query: dict[Split, NDArray[np.float64]]
    before: Reliability
    after: Reliability

    def _write(self, folder: Path) -> dict[str, Interval]:
        test = self.by_query[Split.TEST]
        intervals = bootstrap(len(test), lambda positions: mean_scores(test[positions]))
        errors = (self.metrics["test"]["calibration_error_before"], self.metrics["test"]["calibration_error"])
        plot_calibration(self.before, self.after, errors, AXES, folder / "calibration.png")
        counted = {split.value: len(queries) for split, queries in self.by_query.items()}
        write_metrics(folder, self.temperature, self.metrics, {"intervals": intervals, "queries": counted})
        write_predictions(folder, map(_line, self.examples, self.stated.tolist()))
        return intervals


def relevance_and_query(relevance: Sequence[float], examples: Sequence[Example]) -> NDArray[np.float32]:
    """float32 [rows, 2]; queries are numbered in the order in which they first come."""
    numbers: dict[str, int] = {}
    queries = [numbers.setdefault(query_identity(example), len(numbers)) for example in examples]
    return np.column_stack([np.array(relevance, np.float32), np.array(queries, np.float32)])


def _line(example: Example, stated: float) -> dict[str, object]:
    return {
        "query": example.text,
        "candidate": example.text_pair,
        "relevance": example.value,
        "predicted": round(stated, 6),
    }
