"""What a loaded model has done so far, in the terms of the Open Inference Protocol's ModelStatistics."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from services.inference.prediction import Timings


@dataclass(slots=True)
class Duration:
    """How often, and nanoseconds in total."""

    count: int = 0
    ns: int = 0

    def add(self, seconds: float, count: int = 1) -> None:
        """Adds `count` events that took `seconds` together."""
        self.count += count
        self.ns += int(seconds * 1e9)


@dataclass(slots=True)
class ModelStatistics:
    """Counts calls and texts; only the event loop's thread writes."""

    success: Duration = field(default_factory=Duration)
    fail: Duration = field(default_factory=Duration)
    queue: Duration = field(default_factory=Duration)
    compute_input: Duration = field(default_factory=Duration)
    compute_infer: Duration = field(default_factory=Duration)
    compute_output: Duration = field(default_factory=Duration)
    cache_hit: Duration = field(default_factory=Duration)
    cache_miss: Duration = field(default_factory=Duration)
    texts: int = 0
    batches: dict[int, Duration] = field(default_factory=dict)
    last_inference_ms: int = 0

    def answered(self, timings: Timings) -> None:
        """A call was answered."""
        self.success.add(timings.total)
        self.compute_input.add(timings.tokenization)
        self.queue.add(timings.queue)
        self.compute_output.add(max(0.0, timings.total - timings.tokenization - timings.queue - timings.inference))

    def looked_up(self, hits: int, misses: int) -> None:
        """The response cache was asked for so many texts; a look-up takes next to no time."""
        self.cache_hit.add(0.0, hits)
        self.cache_miss.add(0.0, misses)

    def batch_done(self, rows: int, seconds: float) -> None:
        """A batch of `rows` texts came back from the runtime."""
        self.batches.setdefault(rows, Duration()).add(seconds)
        self.compute_infer.add(seconds)
        self.texts += rows
        self.last_inference_ms = int(time.time() * 1000)
