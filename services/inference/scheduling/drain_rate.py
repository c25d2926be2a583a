"""How fast a queue empties, and so when a refused caller should come back."""

from __future__ import annotations

from dataclasses import dataclass

MIN_RETRY_S, MAX_RETRY_S = 0.05, 10.0


@dataclass(slots=True)
class DrainRate:
    """Tokens computed a second, smoothed over a few batches."""

    tokens_per_s: float = 0.0

    def note(self, tokens: int, seconds: float, workers: int) -> None:
        """A batch of `tokens` took `seconds` on one of `workers`."""
        rate = tokens / max(seconds, 1e-6) * workers
        self.tokens_per_s = rate if self.tokens_per_s == 0.0 else 0.9 * self.tokens_per_s + 0.1 * rate

    def seconds_for(self, tokens: int) -> float:
        """How long the queue needs for so many tokens, within the bounds that a retry makes sense in."""
        wanted = tokens / self.tokens_per_s if self.tokens_per_s else MAX_RETRY_S / 10
        return min(MAX_RETRY_S, max(MIN_RETRY_S, wanted))
