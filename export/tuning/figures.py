"""From timings to the figures of each variant, and to how much one is faster than another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from export.choices import Figures, Goal, Latency, Relative
from export.tuning.rounds import Timed, Timings
from export.tuning.statistics import lower_quartile, relative, weighted_median
from export.tuning.workload import Workload

MS = 1e3
Series = Sequence[float]
"""Seconds in each round."""


def figures(timings: Timings, name: str, reference: str) -> Figures:
    """Of one variant; ratios are relative to the reference."""
    work, timed, other = timings.work, timings.variants[name], timings.variants[reference]
    size = timed.best_size()
    return Figures(
        variant=name,
        narrow=_latency(work, timed.lone, other.lone),
        wide=_latency(work, timed.wide, other.wide) if timed.wide else None,
        batch=size,
        texts_per_second=1 / lower_quartile(timed.batches[size]),
        throughput=relative(_batched(timed), _batched(other)),
    )


def comparison(timings: Timings, goal: Goal, wide: bool) -> Callable[[str, str], Relative]:
    """How long the first of two variants takes, relative to the second. `wide`: lone texts run on all cores."""

    def series(name: str) -> Series:
        timed = timings.variants[name]
        if goal == "throughput":
            return _batched(timed)
        return _alone(timings.work, timed.wide if wide else timed.lone)

    return lambda name, other: relative(series(name), series(other))


def runs_wide(timings: Timings) -> bool:
    """Whether lone texts are compared on all cores: where nobody else uses them, and they answer sooner there."""
    if not timings.quiet or not all(timed.wide for timed in timings.variants.values()):
        return False
    each = timings.variants.values()
    narrow = min(lower_quartile(_alone(timings.work, timed.lone)) for timed in each)
    return min(lower_quartile(_alone(timings.work, timed.wide)) for timed in each) < narrow


def _batched(timed: Timed) -> Series:
    return timed.batches[timed.best_size()]


def _alone(work: Workload, times: Mapping[int, Series]) -> Series:
    """Of a mean text of the traffic, in each round."""
    rounds = zip(*(times[length] for length in work.lone), strict=True)
    return [sum(share * seconds for share, seconds in zip(work.lone.values(), each, strict=True)) for each in rounds]


def _latency(work: Workload, times: Mapping[int, Series], other: Mapping[int, Series]) -> Latency:
    seconds = {length: lower_quartile(times[length]) for length in work.lone}
    middle = weighted_median(list(seconds.values()), list(work.lone.values()))
    return Latency(
        median_ms=MS * middle,
        # a text of that length: the slowest of other texts would be chance, and others' doing
        p99_ms=MS * max(middle, seconds[work.late]),
        relative=relative(_alone(work, times), _alone(work, other)),
    )
