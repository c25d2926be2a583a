"""What the server says of itself at /metrics: the only place where the benchmarks know the names."""

from __future__ import annotations

import urllib.request
from dataclasses import dataclass

PREFIX = "bertline_inference_"
BATCHES, BATCH_TEXTS = "batch_texts_count", "batch_texts_sum"
PADDED_TOKENS, PADDING_TOKENS = "batch_tokens_sum", "padding_tokens_total"
COALESCED, DROPPED = "coalesced_texts_total", "dropped_texts_total"


@dataclass(frozen=True, slots=True)
class Counters:
    """Counters since the server's start, over all models."""

    batches: float
    batch_texts: float
    padded_tokens: float
    """Tokens that were computed, padding included."""
    padding_tokens: float
    coalesced: float
    dropped: dict[str, float]
    """Reason -> texts."""

    def since(self, before: Counters) -> Counters:
        """What was counted after `before`."""
        reasons = self.dropped.keys() | before.dropped.keys()
        dropped = {reason: self.dropped.get(reason, 0.0) - before.dropped.get(reason, 0.0) for reason in reasons}
        return Counters(
            self.batches - before.batches,
            self.batch_texts - before.batch_texts,
            self.padded_tokens - before.padded_tokens,
            self.padding_tokens - before.padding_tokens,
            self.coalesced - before.coalesced,
            dropped,
        )

    def plus(self, other: Counters) -> Counters:
        """Both together."""
        return self.since(Counters(0.0, 0.0, 0.0, 0.0, 0.0, {}).since(other))

    @property
    def waste(self) -> float:
        """Computed tokens a real one, 1 without padding; NaN when nothing was computed."""
        real = self.padded_tokens - self.padding_tokens
        return self.padded_tokens / real if real else float("nan")

    @property
    def batch_size(self) -> float:
        """Texts a batch; NaN when nothing was computed."""
        return self.batch_texts / self.batches if self.batches else float("nan")


def read(port: int, host: str = "127.0.0.1") -> Counters:
    """The counters now. OSError when nobody answers."""
    with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=10) as page:
        return parse(page.read().decode())


def parse(page: str) -> Counters:
    """From the exposition format. KeyError when a metric that every server has is missing."""
    from prometheus_client.parser import text_string_to_metric_families

    sums: dict[str, float] = {}
    dropped: dict[str, float] = {}
    families: set[str] = set()
    for family in text_string_to_metric_families(page):
        families.add(family.name)
        for name, labels, value, *_ in family.samples:
            sums[name] = sums.get(name, 0.0) + value
            if name == PREFIX + DROPPED:
                reason = labels["reason"]
                dropped[reason] = dropped.get(reason, 0.0) + value
    if f"{PREFIX}batch_texts" not in families:
        raise KeyError(f"/metrics has no {PREFIX}batch_texts: was it renamed? The names are in {__name__}")

    def total(name: str) -> float:
        return sums.get(PREFIX + name, 0.0)

    return Counters(
        total(BATCHES), total(BATCH_TEXTS), total(PADDED_TOKENS), total(PADDING_TOKENS), total(COALESCED), dropped
    )
