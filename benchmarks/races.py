"""How fast and how right the contenders are: in turns, round after round, so that all meet the same machine."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from benchmarks.contenders import Contender
from export.arrangements import decisions, shuffled
from export.comparison import Comparison
from export.rows import Row

BATCH = 8


@dataclass(frozen=True, slots=True)
class Pace:
    """Texts a second of processor time, one figure a round."""

    rates: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """The median round's."""
        return median(self.rates)

    def against(self, other: Pace) -> str:
        """How many times as fast as the other, round by round: median (lowest to highest)."""
        ratios = sorted(own / theirs for own, theirs in zip(self.rates, other.rates, strict=True))
        return f"{median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"


@dataclass(frozen=True, slots=True)
class Race:
    """What was measured of one contender; shares are in [0, 1]."""

    name: str
    size_bytes: int | None
    batched: Pace
    alone: Pace
    score: float
    """What the task is judged by, on the test rows."""
    agreement: float
    """With the first contender."""
    drift: float
    """Test rows whose answer changes in shuffled batches of 8."""


def races(
    contenders: Sequence[Contender],
    timed: Sequence[Row],
    rounds: int,
    test: Sequence[Row],
    right: Any,
    comparison: Comparison,
) -> list[Race]:
    """Times `rounds` passes over the rows `timed`, sorted by length, and judges all `test` rows."""
    paces = {each.name: (Pace(), Pace()) for each in contenders}
    for number in range(rounds + 1):
        for contender in contenders:
            for size, pace in zip((BATCH, 1), paces[contender.name], strict=True):
                rate = _rate(contender, timed, size)
                if number:  # the first round warms up
                    pace.rates.append(rate)
    order, company = range(len(test)), shuffled(len(test))
    reference = contenders[0].model.logits(test, order, 1)
    columns = reference.shape[1]
    found = []
    for contender in contenders:
        outputs = contender.model.logits(test, order, 1)[:, :columns]
        in_company = contender.model.logits(test, company, BATCH)[:, :columns]
        found.append(
            Race(
                contender.name,
                contender.size_bytes,
                *paces[contender.name],
                comparison.score(outputs, right),
                comparison.agreement(outputs, reference, right),
                comparison.drift(outputs, in_company, decisions(test)).share,
            )
        )
    return found


def _rate(contender: Contender, rows: Sequence[Row], size: int) -> float:
    begun = time.thread_time()
    contender.model.logits(rows, range(len(rows)), size)
    return len(rows) / (time.thread_time() - begun)
