"""How long a run trains, and the learning rate on the way: linear warm-up, then linearly to zero at the very end."""

from __future__ import annotations

import time


class Budget:
    """How much of a run is done: counted in updates, or by the clock where minutes are given.

    By the clock, the rate is that of the time spent (Geiping and Goldstein 2023), so the end comes in time and at rate zero also
    where the machine gets slower or faster on the way; a plan in updates from a first speed would miss it. As the factor of a
    `torch.optim.lr_scheduler.LambdaLR` its attributes are part of the scheduler's state: a resumed run has spent what
    its checkpoint had.
    """

    def __init__(self, warmup: float, steps: int | None = None, seconds: float | None = None) -> None:
        self.warmup = warmup
        self.steps = steps
        self.seconds = seconds
        self.spent_s = 0.0
        self._since = time.monotonic()

    def resume(self) -> None:
        """The clock goes on from here; what was between a checkpoint and now does not count."""
        self._since = time.monotonic()

    def done(self, step: int) -> float:
        """The share that is done after `step` updates, in [0, 1]."""
        now = time.monotonic()
        self.spent_s += now - self._since
        self._since = now
        if self.seconds is not None:
            return min(1.0, self.spent_s / self.seconds)
        assert self.steps is not None
        return min(1.0, step / self.steps)

    def __call__(self, step: int) -> float:
        """What the peak rate is multiplied by."""
        done = self.done(step)
        return done / self.warmup if done < self.warmup else (1.0 - done) / (1.0 - self.warmup)
