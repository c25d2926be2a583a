"""What is run to compare variants: texts alone, and sorted batches, of the traffic's lengths."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from export.tuning.lengths import LATE, TokenLengths

CPU_SIZES = (1, 2, 4, 8, 16, 32)
GPU_SIZES = (*CPU_SIZES, 64, 128)
LONE_TEXTS = 32
LEAST_TEXTS = 8
WAITING = 128
"""Texts that are sorted together: a queue under load."""
LONE_RUNS = 12
"""In a round, at least about: with few different lengths, each is run more often."""
SHARE_OF_LONE = 0.15
"""Of the time; most goes to the batches."""
EARLY_ROUNDS = 3
"""In which all sizes of batches are tried; afterwards about half of them."""
LATE_SIZES = 0.5


@dataclass(frozen=True, slots=True)
class Workload:
    """Lengths in tokens."""

    lone: dict[int, float]
    """Length of a text that is run alone -> its share of the traffic, ascending."""
    late: int
    """The length of the 99th percentile; it is among `lone`, maybe with a share of 0."""
    repeats: int
    """How often a text is run alone in each round; the fastest run counts."""
    batches: dict[int, list[tuple[int, ...]]]
    """Texts of a batch -> batches of texts that were sorted by length; as many of them as there is time for."""
    mean: float
    """Tokens a text of the traffic."""

    def texts(self, size: int) -> float:
        """What the batches of a size hold, counted in texts of mean length, so that sizes can be compared."""
        return sum(map(sum, self.batches[size])) / self.mean


def workload(
    lengths: TokenLengths, sizes: tuple[int, ...], token_s: float, variants: int, seconds: float, rounds: int
) -> Workload:
    """As much as can be run `rounds` times within the seconds, where a token takes about `token_s`.

    Batches are those of 128 waiting texts, or of two of the largest size, evenly spread over the lengths; of them those in
    the middle of equal parts. Where not even one batch of a size can be afforded it is left out, but for sizes up to 8: so it is
    with long texts and large models, which fill a processor in small batches.
    """
    text_s = token_s * lengths.mean
    runs = variants * (EARLY_ROUNDS + LATE_SIZES * (rounds - EARLY_ROUNDS)) * len(sizes)
    affordable = max(LEAST_TEXTS, int((1 - SHARE_OF_LONE) * seconds / (text_s * runs)))
    sizes = tuple(size for size in sizes if size <= affordable)
    alone = max(4, min(LONE_TEXTS, int(SHARE_OF_LONE * seconds / (text_s * variants * rounds))))
    shares = {length: count / alone for length, count in Counter(lengths.sample(alone)).items()}
    late = lengths.at(LATE)
    waiting = lengths.sample(max(WAITING, 2 * sizes[-1]))
    batches = {size: _spread(_cut(waiting, size), affordable // size) for size in sizes}
    lone = dict(sorted({late: 0.0, **shares}.items()))
    return Workload(lone, late, max(1, min(LONE_RUNS, alone) // len(lone)), batches, lengths.mean)


def _cut(waiting: list[int], size: int) -> list[tuple[int, ...]]:
    return [tuple(waiting[at : at + size]) for at in range(0, len(waiting), size)]


def _spread(batches: list[tuple[int, ...]], most: int) -> list[tuple[int, ...]]:
    """At most so many, from the middle of equal parts."""
    count = min(len(batches), most)
    return [batches[int((place + 0.5) * len(batches) / count)] for place in range(count)]
