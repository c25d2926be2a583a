"""Which model's texts are computed next, when several models share the workers.

Start-time fair queueing (Goyal, Vin, Cheng 1996): each lane's clock runs by the worker seconds it got, the lane whose
clock is behind comes next, and one that was idle catches up to the others, so that nobody saves up turns.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from services.inference.scheduling.work import Owner

Lane = TypeVar("Lane", bound=Owner)


class FairShare:
    """The order of the lanes."""

    def __init__(self) -> None:
        self._now = 0.0

    def order(self, lanes: Iterable[Lane]) -> list[Lane]:
        """Lanes with waiting texts, whose turn is next first."""
        ready = []
        for lane in lanes:
            if lane.waiting:
                if not lane.backlogged:
                    lane.clock = max(lane.clock, self._now)
                    lane.backlogged = True
                ready.append(lane)
            else:
                lane.backlogged = False
        return sorted(ready, key=_clock) if len(ready) > 1 else ready

    def begin(self, lane: Owner, seconds: float) -> None:
        """A batch of the lane begins that is expected to take `seconds`."""
        self._now = max(self._now, lane.clock)
        lane.clock += seconds

    def end(self, lane: Owner, expected: float, seconds: float) -> None:
        """It took `seconds` instead."""
        lane.clock += seconds - expected


def _clock(lane: Owner) -> float:
    return lane.clock
