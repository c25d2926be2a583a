"""How relevant a candidate is to a query: a cross-encoder reads both, and its scores rank the candidates of a query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from training.calibration import binned, expected_calibration_error, fit_relevance, sigmoid
from training.dataset import Dataset, Example, Split
from training.duplicates import query_identity
from training.failures import InvalidSettings
from training.intervals import bootstrap
from training.plots import plot_calibration
from training.ranking_losses import ListwiseSoftmaxLoss, PointwiseLoss, RankNetLoss
from training.settings import FineTuneSettings
from training.tasks.files import write_metrics, write_predictions
from training.tasks.ranking_evaluation import mean_scores, query_scores
from training.tasks.task import Judgement, Logits, Truth

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
        if not np.isfinite(logits).all():
            return float("-inf")
        return mean_scores(query_scores(logits[:, 0], truth))["ndcg_at_10"]

    def judge(self, logits: Mapping[Split, Logits], dataset: Dataset, folder: Path) -> Judgement:
        """nDCG@10, MRR, MAP and calibration error of both splits; intervals over the test split's queries."""
        if not all(np.isfinite(each).all() for each in logits.values()):
            raise InvalidSettings("the training diverged: the model's outputs are not finite; lower learning_rate")
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
        test = by_query[Split.TEST]
        intervals = bootstrap(len(test), lambda positions: mean_scores(test[positions]))
        errors = (metrics["test"]["calibration_error_before"], metrics["test"]["calibration_error"])
        plot_calibration(raw[Split.TEST], bins[Split.TEST], errors, AXES, folder / "calibration.png")
        counted = {split.value: len(by_query[split]) for split in truths}
        write_metrics(folder, temperature, metrics, {"intervals": intervals, "queries": counted})
        write_predictions(folder, map(_line, dataset.test, stated[Split.TEST].tolist()))
        return Judgement(temperature, None, metrics, intervals, shift)


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
