"""One level of load: its windows, the limits measured around them, and what follows from both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from statistics import median

from benchmarks.figures import Ratio, percentile, ratio
from benchmarks.generator import Window
from benchmarks.limit import Rate
from benchmarks.server_metrics import Counters

NOISE = 0.1
"""Share of the cores that neighbours may use before a plain ratio no longer counts."""


@dataclass(frozen=True, slots=True)
class Level:
    """Figures of one number of callers. Latencies in milliseconds a call, CPU in seconds a text."""

    callers: int
    texts: int
    texts_per_second: float
    ratio: Ratio
    p50_ms: float
    p95_ms: float
    p99_ms: float
    server_cpu: float
    generator_cpu: float
    limit_cpu: float
    errors: dict[str, int]
    """gRPC status code, or "wrong answer" -> calls."""
    repeats: int
    """Texts sent more than once in a window: a cache could have answered them."""
    waste: float
    """Tokens computed for each real one, by the server's own count; NaN where it does not say."""
    batch_texts: float
    """Mean texts a batch."""
    limits: list[float]
    """Texts/s of the in-process limit before, between and after the windows."""
    neighbours: float
    """Cores that other processes used, the most during any limit or window of the level."""

    def contended(self, cores: int) -> bool:
        """Whether neighbours took so much of the machine that `ratio` compares unequal shares of it.

        The scheduler divides among runnable threads: a server of many threads holds its share better than a limit of
        few, in every window alike, so that the spread stays small while the ratio errs in the server's favour.
        """
        return self.neighbours > NOISE * cores

    @property
    def generator_share(self) -> float:
        """The generator's part of the CPU that was used."""
        return self.generator_cpu / (self.generator_cpu + self.server_cpu)

    @property
    def cpu_ratio(self) -> float:
        """CPU a text of the limit over that of server and generator: what full cores give, whoever else uses them."""
        return self.limit_cpu / (self.server_cpu + self.generator_cpu)


def level(
    callers: int,
    texts_per_call: int,
    windows: Sequence[Window],
    around: Sequence[Rate],
    wrong_answers: int,
    counted: Counters | None = None,
) -> Level:
    """Sums up windows of one level; `around` are the limits before, between and after them."""
    done = [call for window in windows for call in window.completed]
    answered = len(done) * texts_per_call
    texts = max(1, answered)
    rate = answered / sum(window.seconds for window in windows)
    latencies = sorted((call.ended - call.began) * 1e3 for call in done)
    errors = Counter(str(call.status) for window in windows for call in window.calls if call.status)
    if wrong_answers:
        errors["wrong answer"] = wrong_answers
    return Level(
        callers=callers,
        texts=answered,
        texts_per_second=rate,
        ratio=ratio(rate, [each.texts_per_second for each in around]),
        p50_ms=percentile(latencies, 0.50),
        p95_ms=percentile(latencies, 0.95),
        p99_ms=percentile(latencies, 0.99),
        server_cpu=sum(window.end.server_cpu - window.begin.server_cpu for window in windows) / texts,
        generator_cpu=sum(window.end.generator_cpu - window.begin.generator_cpu for window in windows) / texts,
        limit_cpu=median(each.cpu_seconds for each in around),
        errors=dict(errors),
        repeats=texts_per_call
        * sum(len(window.calls) - len({call.item for call in window.calls}) for window in windows),
        waste=counted.waste if counted else nan,
        batch_texts=counted.batch_size if counted else nan,
        limits=[each.texts_per_second for each in around],
        neighbours=max([window.neighbours for window in windows] + [each.neighbours for each in around]),
    )
