"""How much may wait: tokens, and the time that they will take, so that whoever is admitted is answered in bounded time."""

from __future__ import annotations

from services.inference.queries import Priority
from services.inference.scheduling.batch_selection import Limits
from services.inference.scheduling.drain_rate import DrainRate
from services.platform.failures import Overloaded

SHARE = {Priority.HIGH: 1.0, Priority.NORMAL: 0.9, Priority.LOW: 0.5}
"""Of the queue, for each priority: bulk work is refused first, and a rest is kept for those whom somebody watches."""
LEAST_BATCHES = 4
"""So many full batches may always wait, however slow they are: fewer would leave workers without work."""


class Admission:
    """Decides whether more may wait in one lane."""

    def __init__(self, limits: Limits, rate: DrainRate) -> None:
        self._limits = limits
        self._rate = rate
        self._least = LEAST_BATCHES * limits.batch_tokens

    def check(self, waiting: int, new: int, priority: Priority, lanes: int) -> None:
        """Raises Overloaded when `new` tokens must not join the `waiting` ones while `lanes` share the workers.

        An empty queue takes any call: what fits no queue at all would otherwise never be computed.
        """
        if not waiting:
            return
        bound = self._limits.queue_tokens
        if self._rate.tokens_per_s:
            bound = min(bound, max(self._least, int(self._rate.tokens_per_s / lanes * self._limits.queue_s)))
        bound = int(bound * SHARE[priority])
        if waiting + new > bound:
            retry = self._rate.seconds_for(waiting * lanes)
            raise Overloaded(f"{waiting} tokens are waiting; try again in {retry:.2f} s", retry)
