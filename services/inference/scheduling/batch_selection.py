"""Which of the waiting texts make the next batch."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one lane, in padded tokens and texts a batch, and tokens in the queue."""

    batch_tokens: int
    batch_texts: int
    queue_tokens: int
    queue_s: float = 3600.0
    """Seconds of work that may wait, by the measured rate; whichever of the two bounds is lower counts."""
    run_cost_tokens: float = 6.0
    """What one run costs besides its tokens, in tokens; measured at load, see `calibration`."""
    wide_from_tokens: int | None = None
    """A lone text of at least this length runs on all cores; None: never."""
    cores: int = 1
    """Cores that every batch of the lane takes; as many fewer run at once."""


def best_range(sizes: list[int], must: int, most: int, limits: Limits) -> tuple[int, int]:
    """First and last position of the cheapest batch in ascending `sizes` that holds position `must`.

    A batch costs its padded tokens plus a constant for the run itself (`limits.run_cost_tokens`), so long rows are not
    dragged into a batch of short ones unless that saves a run. At most `most` rows and `limits.batch_tokens` padded tokens.
    """
    sums = list(accumulate(sizes, initial=0))
    best, best_efficiency = (must, must), 0.0
    for last in range(must, min(len(sizes), must + most)):
        longest = sizes[last]
        for first in range(max(0, last - most + 1), must + 1):
            padded = (last - first + 1) * longest
            if padded > limits.batch_tokens:
                continue
            efficiency = (sums[last + 1] - sums[first]) / (limits.run_cost_tokens + padded)
            if efficiency > best_efficiency:
                best, best_efficiency = (first, last), efficiency
    return best
