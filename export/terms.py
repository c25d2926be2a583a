"""What the figures of a parity proof are called where people read them, by task."""

from __future__ import annotations

from dataclasses import dataclass

from training.headlines import PLAIN


@dataclass(frozen=True, slots=True)
class Terms:
    """Column titles, and the words of the gate."""

    agreement: str = "same label"
    agreement_metric: str = "agreement"
    """How the agreement is written, see `training.headlines.as_shown`: as percent, unless it is a correlation."""
    drift: str = "flips"
    drifts: str = "of the labels flip with batch mates"
    meaning: str = '"Flips" are labels that change when\nthe same text is computed in other company.'

    def agreed(self, value: float) -> str:
        """An agreement, in [0, 1], finely enough to be told from a limit."""
        return f"{value:.4f}" if self.agreement_metric in PLAIN else f"{100 * value:.2f} %"


TERMS = {
    "regression": Terms(
        "rank agreement",
        "spearman",
        "drift",
        "of the numbers move with batch mates",
        '"Rank agreement" is Spearman\'s correlation;\n"drift" are numbers that move by more than 0.01 standard deviations when '
        "the same text is computed in\nother company.",
    ),
    "token_classification": Terms(
        drifts="of the texts have a word whose label flips with batch mates",
        meaning='"Same label" is of words; "flips" are texts\nof which a word\'s label changes when the same text is computed in '
        "other company.",
    ),
    "pair_scoring": Terms(
        "same order",
        drift="drift",
        drifts="of the relevances move with batch mates",
        meaning='"Same order": pairs of a query\'s candidates, of\nthose that the checkpoint tells apart; "drift" are '
        "relevances that move by more than 0.01 when the same pair\nis computed in other company.",
    ),
    "embedding": Terms(
        "same neighbour",
        drifts="of the neighbours flip with batch mates",
        meaning='"Same neighbour": texts whose nearest\nneighbour among the others is the checkpoint\'s; "flips" are texts whose '
        "nearest neighbour changes when the\nsame text is computed in other company.",
    ),
}


def terms_of(task: str) -> Terms:
    """Those of the task; a classifier's unless it has its own."""
    return TERMS.get(task, Terms())
