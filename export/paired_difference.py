"""How sure the difference of two scores is that were measured on the same rows.

Each resample draws rows, or queries, once for both. What is hard for the one is mostly hard for the other and cancels: two
accuracies of 92 % on 1,000 rows are each known to 1.7 points, their difference where 1 % of the labels differ to 0.6.
"""

from __future__ import annotations

from export.comparison import UnitScores
from training.intervals import Interval, Positions, bootstrap


def drop_interval(reference: UnitScores, variant: UnitScores) -> Interval | None:
    """The 95 % interval of the points lost, the reference's score less the variant's; None without any units.

    Percentile bootstrap of the paired difference (Efron 1979); deterministic.
    """
    if not reference.units:
        return None

    def lost(positions: Positions) -> dict[str, float]:
        return {"drop": 100 * (reference.at(positions) - variant.at(positions))}

    return bootstrap(reference.units, lost)["drop"]
