"""The first choice of a bundle, made where it is made, which its manifest holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from export.choices import HostChoice
from export.rows import Row
from export.tuning.lengths import TokenLengths
from export.tuning.tuning import Place, bench_of, compared
from export.variants import Candidate
from training.progress import Steps

TASK = "comparing the variants"


@dataclass(frozen=True, slots=True)
class Traffic:
    """Rows as they are to come, and how long variants may be compared on them; with 0 seconds they are not."""

    rows: Sequence[Row]
    pad: int
    seconds: float
    progress: Steps

    def facts(self, passed: Sequence[Candidate]) -> dict[str, Any]:
        """Fields of a manifest."""
        lengths = TokenLengths.of((len(row.ids) for row in self.rows), "validation rows")
        return {"token_lengths": lengths.counts(), "choices": self._choices(passed, lengths)}

    def _choices(self, passed: Sequence[Candidate], lengths: TokenLengths) -> list[HostChoice]:
        """Of variants for a processor. None where there is nothing to choose from."""
        place = Place(seconds=self.seconds)
        fit = [each for each in passed if place.runs(each.variant)]
        if len(fit) < 2 or not self.seconds:
            return []
        bench = bench_of({each.variant.name: each.path for each in fit}, self.rows[:64], self.pad, place)
        variants = [each.variant for each in fit]
        return [compared(bench, variants, lengths, place, lambda done, all_: self.progress(TASK, done, all_), {})]
