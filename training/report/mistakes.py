"""Which labels are taken for which, and the mistakes that the model is surest of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.dataset import Example
from training.report.answers import Answers
from training.report.contents import Confusion, Mistake

FEW_LABELS = 20
"""Up to so many, all of them stand in one matrix."""
MOST_PAIRS = 25
MOST_MISTAKES = 20


def matrix(answers: Answers) -> list[list[int]] | None:
    """Rows of label i that were given label j; None for many labels, or several a text."""
    if answers.several or len(answers.labels) > FEW_LABELS:
        return None
    counts: NDArray[np.int64] = answers.right.T.astype(np.int64) @ answers.given.astype(np.int64)
    return [[int(count) for count in row] for row in counts]


def confusions(answers: Answers) -> list[Confusion]:
    """Pairs of labels of which the first was missed in rows that were given the second wrongly, most rows first."""
    missed = (answers.right & ~answers.given).astype(np.int64)
    wrong = (answers.given & ~answers.right).astype(np.int64)
    counts = missed.T @ wrong
    having = answers.right.sum(axis=0)
    order = [(int(i), int(j)) for i, j in zip(*np.nonzero(counts), strict=True)]
    order.sort(key=lambda pair: (-counts[pair], -counts[pair] / having[pair[0]], pair))
    return [
        Confusion(
            truth=answers.labels[i],
            predicted=answers.labels[j],
            count=int(counts[i, j]),
            share=float(counts[i, j] / having[i]),
            reverse=int(counts[j, i]),
        )
        for i, j in order[:MOST_PAIRS]
    ]


def worst_decisions(answers: Answers) -> list[tuple[int, int]]:
    """(row, label) of the rows answered wrong: the wrong decision that the model is surest of. The surest rows come first."""
    # with one label a text, what was decided wrongly is the label that was given
    wrong = answers.given != answers.right if answers.several else answers.given & ~answers.right
    doubt = np.where(wrong, answers.doubt, -1.0)
    rows = [(float(doubt[row].max()), int(row), int(doubt[row].argmax())) for row in np.flatnonzero(~answers.exact)]
    return [(row, label) for _, row, label in sorted(rows, key=lambda each: (-each[0], each[1]))]


def mistakes(examples: Sequence[Example], answers: Answers) -> list[Mistake]:
    """The surest ones."""
    return [
        Mistake(
            line=row + 1,
            text=examples[row].text,
            text_pair=examples[row].text_pair,
            truth=answers.names(row, answers.right),
            predicted=answers.names(row, answers.given),
            probability=float(answers.doubt[row, label]),
        )
        for row, label in worst_decisions(answers)[:MOST_MISTAKES]
    ]
