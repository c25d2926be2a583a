"""How a model is executed on this host, chosen by a short measurement: no constant fits a laptop, a server and a GPU.

The choice is a function of timings alone, so that tests can play any host. Candidates are timed in turn, round after round,
and compared by lower quartiles: whatever else the machine does makes a run slower, never faster.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, Field

ENOUGH = 1.03
"""The smallest batch that costs at most this much more a token than the cheapest: small ones wait less and pad less."""
NOTABLE = 1.05
NOTABLE_WHILE_BUSY = 1.1
"""But the usual batch stays unless it costs more than this: the curve is flat, and noise must not decide."""
CLEARLY = 0.95
"""Another layout than one thread a worker must cost so much less."""
WIDE_USUALLY = 64
"""Tokens from which a lone text runs wide, unless it clearly loses there, or shorter ones clearly gain."""
WIDE_LOSS, WIDE_GAIN = 1.03, 0.9
"""Wide over narrow time: a clear loss, a clear gain."""
BUSY = 1.15
"""Others are taken to use the cores when a lone narrow run takes so much longer than it computes, or when the median wide
run takes so much longer than the lower quartile,"""
USED_ELSEWHERE = 0.25
"""or when so large a part of the cores has work while this process rests."""
LEAST_COST, MOST_COST = 1.0, 2_000.0
FEWEST_ROUNDS, MOST_ROUNDS = 3, 12


class Shape(NamedTuple):
    """A batch of `rows` texts of `length` tokens."""

    rows: int
    length: int

    @property
    def tokens(self) -> int:
        """Tokens of the batch."""
        return self.rows * self.length


class Lone(NamedTuple):
    """Seconds that one run took while nothing else ran: on the clock, and of the calling thread's processor time."""

    wall: float
    processor: float


class Stopwatch(Protocol):
    """Times real sessions, or says what a test wants."""

    cores: int
    """Of which each worker gets one; 1 where a single session is all there is."""
    bindable: bool
    """Whether inputs can lie in buffers on the device."""

    def now(self) -> float:
        """Seconds, for keeping to a time limit."""

    def busy(self, threads: int, shape: Shape) -> list[float]:
        """Seconds a run, of one run or more by each worker, while workers of `threads` threads each keep all cores busy."""

    def lone(self, wide: bool, length: int) -> Lone:
        """One run of one text."""

    def bind(self, on: bool) -> None:
        """Binds inputs to buffers, or no longer."""

    def used_elsewhere(self) -> float:
        """Share of the cores' time that others use just now, 0 to 1."""


class Choice(BaseModel):
    """How a model is executed. Tokens are padded ones."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    threads: int = Field(ge=1)
    """Of each worker's runs: 1, all cores, or between."""
    batch_tokens: int = Field(ge=1)
    batch_texts: int = Field(ge=1)
    run_cost_tokens: float = Field(gt=0)
    """What a run costs besides its tokens, in tokens."""
    wide_from_tokens: int | None = Field(ge=1)
    """Shortest lone text that runs on all cores; None: never."""
    bound: bool = False
    """Inputs are bound to buffers on the device."""
    quiet: bool = True
    """The cores were free while it was measured. Otherwise it counts for a while only."""


@dataclass(frozen=True, slots=True)
class Grid:
    """What is tried. Texts are chosen on short batches, the budget in tokens on long ones."""

    short: tuple[Shape, ...]
    long: tuple[Shape, ...]
    lone: tuple[int, ...]
    layout: tuple[Shape, ...]
    """On which one thread a worker is compared with more."""
    usual: tuple[Shape, Shape]
    """One of the short ones, one of the long ones."""
    seconds: float
    """For the whole measurement, about."""
    longest_run_s: float
    """Larger batches are not tried: whoever arrives behind one waits for it."""


def cpu_grid(max_length: int) -> Grid:
    """Small batches: larger ones fall out of a processor's caches."""
    short, long = min(16, max_length), min(64, max_length)
    return Grid(
        short=tuple(Shape(rows, short) for rows in (1, 2, 4, 8, 16)),
        long=tuple(Shape(rows, long) for rows in (1, 2, 4, 8)),
        lone=tuple(length for length in (16, 32, 64, 128) if length <= max_length) or (max_length,),
        layout=(Shape(8, short), Shape(2, long)),
        usual=(Shape(8, short), Shape(4, long)),
        seconds=1.0,
        longest_run_s=0.15,
    )


def gpu_grid(max_length: int) -> Grid:
    """Large batches: a GPU is idle in small ones."""
    short, long = min(16, max_length), min(128, max_length)
    return Grid(
        short=tuple(Shape(rows, short) for rows in (1, 8, 32, 64, 128)),
        long=tuple(Shape(rows, long) for rows in (8, 16, 32, 64, 128)),
        lone=(),
        layout=(),
        usual=(Shape(64, short), Shape(64, long)),
        seconds=2.0,
        longest_run_s=0.05,
    )


def choose(watch: Stopwatch, grid: Grid, max_length: int) -> Choice:
    """Measures and decides. No shape is tried whose run would be too long, but the smallest of each kind always is.

    While others use the cores, runs on several of them prove nothing: the usual is taken, and said to be no more than that.
    """
    quiet = watch.cores == 1 or watch.used_elsewhere() <= USED_ELSEWHERE
    shapes = _affordable(watch, grid)
    wide_from, threads = WIDE_USUALLY if watch.cores > 1 and grid.lone else None, 1
    if quiet and wide_from is not None:
        wide_from, quiet = _wide_from(watch, grid.lone, 0.4 * grid.seconds)
    if quiet:
        threads = _threads(watch, grid.layout, 0.2 * grid.seconds)
    bound = watch.bindable and _binding_helps(watch, grid.usual[0], 0.2 * grid.seconds)
    costs = _costs(watch, [(threads, shape) for shape in shapes], 0.4 * grid.seconds)
    by_shape = {shape: cost for (_, shape), cost in costs.items()}
    notable = NOTABLE if quiet else NOTABLE_WHILE_BUSY
    texts = _smallest(grid.short, grid.usual[0], notable, by_shape)
    tokens = _smallest(grid.long, grid.usual[1], notable, by_shape)
    return Choice(
        threads=threads,
        batch_tokens=max(tokens.tokens, texts.tokens, max_length),
        batch_texts=texts.rows,
        run_cost_tokens=_run_cost(by_shape),
        wide_from_tokens=wide_from if threads < watch.cores else None,
        bound=bound,
        quiet=quiet,
    )


def _rounds(watch: Stopwatch, limit_s: float) -> Iterator[int]:
    """Numbers of rounds: some at least, unless they take twice the time that there is; then what there is time for."""
    begun = watch.now()
    for number in range(MOST_ROUNDS):
        yield number
        if watch.now() - begun >= limit_s * (1 if number + 1 >= FEWEST_ROUNDS else 2):
            return


def _affordable(watch: Stopwatch, grid: Grid) -> list[Shape]:
    """Shapes whose run takes no longer than allowed, by what the next smaller one takes; runs each of them a first time."""
    for threads in _layouts(watch.cores):
        watch.busy(threads, grid.short[0])
    allowed = []
    for shapes in (grid.short, grid.long):
        before, seconds = None, 0.0
        for shape in shapes:
            if before is not None and seconds * shape.tokens / before.tokens > grid.longest_run_s:
                break
            seconds = min(watch.busy(1, shape))
            before = shape
            allowed.append(shape)
    return list(dict.fromkeys(allowed))


def _layouts(cores: int) -> list[int]:
    """Threads a worker: one, all cores, and on four cores and more something between."""
    middle = 1 << (cores.bit_length() // 2)
    return sorted({1, cores} | ({middle} if cores >= 4 and cores % middle == 0 else set()))


def _threads(watch: Stopwatch, shapes: Sequence[Shape], limit_s: float) -> int:
    """The layout that makes most of all cores. One thread a worker, unless another is clearly better."""
    layouts = _layouts(watch.cores)
    if len(layouts) == 1:
        return 1
    costs = _costs(watch, [(threads, shape) for threads in layouts for shape in shapes], limit_s)
    total = {threads: sum(threads * costs[threads, shape] for shape in shapes) for threads in layouts}
    best = min(layouts, key=lambda threads: total[threads])
    return best if total[best] <= CLEARLY * total[1] else 1


def _binding_helps(watch: Stopwatch, shape: Shape, limit_s: float) -> bool:
    """Leaves the inputs bound if that is faster."""
    times: dict[bool, list[float]] = {False: [], True: []}
    for _ in _rounds(watch, limit_s):
        for bound in times:
            watch.bind(bound)
            times[bound] += watch.busy(1, shape)
    helps = lower_quartile(times[True]) < lower_quartile(times[False])
    watch.bind(helps)
    return helps


def _costs(watch: Stopwatch, candidates: Sequence[tuple[int, Shape]], limit_s: float) -> dict[tuple[int, Shape], float]:
    """Seconds a token and worker of each candidate."""
    samples: dict[tuple[int, Shape], list[float]] = {candidate: [] for candidate in candidates}
    for _ in _rounds(watch, limit_s):
        for threads, shape in candidates:
            samples[threads, shape] += watch.busy(threads, shape)
    return {key: lower_quartile(times) / key[1].tokens for key, times in samples.items()}


def _smallest(grid: Sequence[Shape], usual: Shape, notable: float, costs: dict[Shape, float]) -> Shape:
    shapes = [shape for shape in grid if shape in costs]
    best = min(costs[shape] for shape in shapes)
    if usual in costs and costs[usual] <= notable * best:
        return usual
    return next(shape for shape in shapes if costs[shape] <= ENOUGH * best)


def _run_cost(costs: dict[Shape, float]) -> float:
    """The constant of the line seconds = constant + tokens x rate that fits all shapes best, relatively, in tokens."""
    rows = [(1.0 / (shape.tokens * cost), 1.0 / cost) for shape, cost in costs.items()]
    aa, ab, bb = (sum(one[i] * one[j] for one in rows) for i, j in ((0, 0), (0, 1), (1, 1)))
    a, b = (sum(one[i] for one in rows) for i in (0, 1))
    determinant = aa * bb - ab * ab
    if determinant <= 0:
        return LEAST_COST
    constant, rate = (a * bb - b * ab) / determinant, (b * aa - a * ab) / determinant
    if rate <= 0:
        return MOST_COST
    return round(min(MOST_COST, max(LEAST_COST, constant / rate)), 1)


def _wide_from(watch: Stopwatch, lengths: Sequence[int], limit_s: float) -> tuple[int | None, bool]:
    """Where a lone text gains from all cores, and whether the cores were free for finding out."""
    times: dict[tuple[bool, int], list[Lone]] = {(wide, length): [] for length in lengths for wide in (False, True)}
    for _ in _rounds(watch, limit_s):
        for (wide, length), runs in times.items():
            runs.append(watch.lone(wide, length))
    if watch.used_elsewhere() > USED_ELSEWHERE or not _quiet(times):
        return WIDE_USUALLY, False
    ratios = {length: _best(times[True, length]) / _best(times[False, length]) for length in lengths}
    return _shortest_gain(ratios), True


def _shortest_gain(ratios: dict[int, float]) -> int | None:
    """Walks from the longest down, so that one lucky short run decides nothing."""
    shortest = None
    for length in sorted(ratios, reverse=True):
        if ratios[length] > (WIDE_LOSS if length >= WIDE_USUALLY else WIDE_GAIN):
            break
        shortest = length
    return shortest


def _best(runs: list[Lone]) -> float:
    """Of several runs that need all cores at once, the one that got them."""
    return min(run.wall for run in runs)


def _quiet(times: dict[tuple[bool, int], list[Lone]]) -> bool:
    """Whether the runs were as long as they had to be."""
    waits = [
        run.wall / run.processor for (wide, _), runs in times.items() for run in runs if not wide and run.processor > 0
    ]
    spreads = [
        median([run.wall for run in runs]) / lower_quartile([run.wall for run in runs])
        for (wide, _), runs in times.items()
        if wide
    ]
    return (not waits or median(waits) <= BUSY) and median(spreads) <= BUSY


def lower_quartile(values: list[float]) -> float:
    """A quarter of the values is smaller."""
    return sorted(values)[(len(values) - 1) // 4]
