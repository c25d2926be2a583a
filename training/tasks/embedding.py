"""Vectors of texts: near one another where texts belong together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from training.dataset import Dataset, Example, Split
from training.embedding.evaluation import Scored, evaluated, retrieved, scores_of, truth_of
from training.embedding.losses import loss_of
from training.embedding.predictions import prediction_lines, retrieval_lines
from training.embedding.relations import relation_of
from training.embedding.retrieval import Collection, by_vectors, identities_of
from training.embedding.word_overlap import by_words
from training.headlines import headline
from training.settings import FineTuneSettings
from training.tasks.files import write_metrics, write_predictions
from training.tasks.task import Judgement, Logits, Truth

BEFORE, WORDS = "test, before training", "test, shared words"
"""What the test scores stand beside in a record."""


class Embedding:
    """Contrastive losses; retrieval, correlation with similarities, or average precision of labels.

    In place of logits there are vectors [texts, width], of the texts as `training.embedding.relations.singles` orders them.
    """

    def truth(self, examples: Sequence[Example], labels: Sequence[str]) -> Truth:
        """See `training.embedding.evaluation.Truth`."""
        return truth_of(examples, labels)

    def loss(self, settings: FineTuneSettings, dataset: Dataset) -> Any:
        """The one that fits the rows; it computes vectors itself, so it is for `training.embedding.trainer` alone."""
        return loss_of(relation_of(dataset.train), settings)

    def score(self, logits: Logits, truth: Truth) -> float:
        """MRR@10, Spearman's correlation, or mean average precision."""
        scores = scores_of(logits, truth)
        return scores[headline("embedding", scores)[0]]

    def compared(self, vectors: Mapping[Split, Logits], before: Logits, dataset: Dataset, folder: Path) -> Judgement:
        """The measures of both splits beside the test scores of the encoder before training, and of pairs beside those of shared
        words; writes metrics and predictions."""
        parts = {Split.VALIDATION: dataset.validation, Split.TEST: dataset.test}
        truths = {split: truth_of(rows, dataset.labels) for split, rows in parts.items()}
        scored = {Split.VALIDATION.value: evaluated(vectors[Split.VALIDATION], truths[Split.VALIDATION])}
        known = {Split.TEST.value: vectors[Split.TEST], BEFORE: before}
        if relation_of(dataset.test) == "pair":
            of_test, lines = _retrieval(dataset.test, known)
        else:
            of_test = {name: evaluated(each, truths[Split.TEST]) for name, each in known.items()}
            lines = prediction_lines(dataset.test, vectors[Split.TEST])
        scored |= of_test
        metrics = {name: each.scores for name, each in scored.items()}
        intervals = {name: each.intervals for name, each in scored.items()}
        write_metrics(
            folder, 1.0, metrics, {"intervals": intervals, "rows": {s.value: len(r) for s, r in parts.items()}}
        )
        write_predictions(folder, lines)
        return Judgement(1.0, None, metrics, scored[Split.TEST.value].intervals)


def _retrieval(
    rows: Sequence[Example], vectors: Mapping[str, Logits]
) -> tuple[dict[str, Scored], Iterator[dict[str, object]]]:
    """Scores of these vectors and of shared words, and what the vectors of the trained encoder find."""
    collection = Collection.of(identities_of(rows))
    found = {name: by_vectors(each, collection) for name, each in vectors.items()}
    found[WORDS] = by_words([row.text for row in rows], [row.text_pair or "" for row in rows], collection)
    scored = {name: retrieved(each, collection) for name, each in found.items()}
    return scored, retrieval_lines(rows, found[Split.TEST.value], collection)
