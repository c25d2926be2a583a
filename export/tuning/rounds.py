"""Times all variants in turn, round after round, so that each meets the same machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from export.tuning.lengths import TokenLengths
from export.tuning.statistics import lower_quartile
from export.tuning.workload import CPU_SIZES, EARLY_ROUNDS, GPU_SIZES, LATE_SIZES, Workload, workload

FEWEST, USUAL = 6, 15
"""Rounds: bounds of 95 % need six."""
HOPELESS = 1.08
"""Sizes of batches that take so much longer than the best one are not tried after the early rounds."""
ENOUGH = 1.03
"""The smallest size within so much of the best is taken: small batches wait less and pad less."""
LOOK_RUNS, LOOK_S = 3, 0.3
"""How often, and how long, a text is run to see how many can be run in the time given."""
BUSY = 0.25
"""Others are said to use the cores when so large a part of them has work while this process rests."""

Report = Callable[[int, int], None]
"""Rounds done, of how many."""


class Bench(Protocol):
    """Runs the variants of one bundle."""

    on_gpu: bool
    cores: int

    def now(self) -> float:
        """Seconds, for keeping to a limit."""

    def narrow(self, variant: str, lengths: Sequence[int]) -> float:
        """Seconds a batch of texts of these lengths takes: processor time of one thread; on a GPU, time."""

    def wide(self, variant: str, length: int) -> float:
        """Seconds one text takes on all cores, by the clock."""

    def used_elsewhere(self) -> float:
        """Share of the cores' time that others use just now, 0 to 1."""


@dataclass(slots=True)
class Timed:
    """Seconds of one variant, a list of rounds each."""

    lone: dict[int, list[float]] = field(default_factory=dict)
    """By length."""
    wide: dict[int, list[float]] = field(default_factory=dict)
    batches: dict[int, list[float]] = field(default_factory=dict)
    """A text of mean length, by the size of the batches; of sizes that were given up, early rounds alone."""

    def kept(self) -> list[int]:
        """Sizes that no round left out."""
        rounds = max(map(len, self.batches.values()))
        return [size for size, times in self.batches.items() if len(times) == rounds]

    def best_size(self) -> int:
        """The smallest that is nearly the fastest."""
        times = {size: lower_quartile(self.batches[size]) for size in self.kept()}
        return min(size for size, seconds in times.items() if seconds <= ENOUGH * min(times.values()))


@dataclass(frozen=True, slots=True)
class Timings:
    """All that was timed."""

    work: Workload
    variants: dict[str, Timed]
    rounds: int
    quiet: bool


def time_variants(
    bench: Bench, variants: Sequence[str], lengths: TokenLengths, seconds: float, report: Report
) -> Timings:
    """Takes about `seconds`, less where 15 rounds are done earlier, more where 6 take longer."""
    begun = bench.now()
    quiet = bench.used_elsewhere() < BUSY
    token_s = max(_token_s(bench, name, lengths) for name in variants)
    sizes = GPU_SIZES if bench.on_gpu else CPU_SIZES
    work = workload(lengths, sizes, token_s, len(variants), seconds, USUAL)
    timed = {name: Timed() for name in variants}
    done = 0
    while done < USUAL and (done < FEWEST or bench.now() - begun < seconds):
        for name in _turns(variants, done):
            _narrow_round(bench, name, work, timed[name], done)
        if not bench.on_gpu and bench.cores > 1:
            for name in _turns(variants, done):
                _wide_round(bench, name, work, timed[name])
        done += 1
        report(done, USUAL)
    report(USUAL, USUAL)
    return Timings(work, timed, done, quiet and bench.used_elsewhere() < BUSY)


def _turns(variants: Sequence[str], number: int) -> list[str]:
    """Another one comes first in each round."""
    at = number % len(variants)
    return [*variants[at:], *variants[:at]]


def _token_s(bench: Bench, name: str, lengths: TokenLengths) -> float:
    """What a token costs by the clock, in texts of middling length: where others use the cores, more than is computed.

    A GPU is idle with one text. It warms up, too.
    """
    batch = [lengths.at(0.5)] * (GPU_SIZES[-1] if bench.on_gpu else 1)
    bench.narrow(name, batch)
    begun, runs = bench.now(), 0
    while runs < LOOK_RUNS or bench.now() - begun < LOOK_S:
        bench.narrow(name, batch)
        runs += 1
    return max(1e-9, (bench.now() - begun) / (runs * sum(batch)))


def _narrow_round(bench: Bench, name: str, work: Workload, timed: Timed, number: int) -> None:
    for length in work.lone:
        timed.lone.setdefault(length, []).append(min(bench.narrow(name, [length]) for _ in range(work.repeats)))
    for size in _sizes(work, timed, number):
        seconds = sum(bench.narrow(name, batch) for batch in work.batches[size])
        timed.batches.setdefault(size, []).append(seconds / work.texts(size))


def _wide_round(bench: Bench, name: str, work: Workload, timed: Timed) -> None:
    for length in work.lone:
        timed.wide.setdefault(length, []).append(min(bench.wide(name, length) for _ in range(work.repeats)))


def _sizes(work: Workload, timed: Timed, number: int) -> list[int]:
    """All at first, then those that may be the best: the better half of them at most, and without the hopeless ones."""
    if number < EARLY_ROUNDS:
        return list(work.batches)
    if number > EARLY_ROUNDS:
        return timed.kept()
    times = {size: lower_quartile(seconds) for size, seconds in timed.batches.items()}
    better = sorted(times, key=lambda size: times[size])[: max(1, int(LATE_SIZES * len(times)))]
    return [size for size in better if times[size] <= HOPELESS * times[better[0]]]
