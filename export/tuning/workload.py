"""What is run to compare variants: texts alone, and sorted batches, of the traffic's lengths."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from export.tuning.lengths import LATE, TokenLengths

CPU_SIZES = (1, 2, 4, 8, 16, 32)
GPU_SIZES = (*CPU_SIZES, 64, 128)
LONE_TEXTS = 32
LEAST_TEXTS, MOST_TEXTS = 8, 128
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
    texts: int
    """In the batches of one size."""
    batches: dict[int, list[tuple[int, ...]]]
    """Texts of a batch -> all its batches."""


def workload(
    lengths: TokenLengths, sizes: tuple[int, ...], token_s: float, variants: int, seconds: float, rounds: int
) -> Workload:
    """As many texts as can be run `rounds` times within the seconds, where a token takes about `token_s`.

    At most 128 texts, or two batches of the largest size. Where not even one such batch fits, larger sizes than 8 are left out:
    that is so for long texts and large models, which fill a processor in small batches.
    """
    text_s = token_s * lengths.mean
    runs = variants * (EARLY_ROUNDS + LATE_SIZES * (rounds - EARLY_ROUNDS)) * len(sizes)
    affordable = max(LEAST_TEXTS, int((1 - SHARE_OF_LONE) * seconds / (text_s * runs)))
    sizes = tuple(size for size in sizes if size <= affordable)
    largest = sizes[-1]
    texts = largest * min(max(2, MOST_TEXTS // largest), affordable // largest)
    alone = max(4, min(LONE_TEXTS, int(SHARE_OF_LONE * seconds / (text_s * variants * rounds))))
    shares = {length: count / alone for length, count in Counter(lengths.sample(alone)).items()}
    late = lengths.at(LATE)
    sample = lengths.sample(texts)
    batches = {size: [tuple(sample[at : at + size]) for at in range(0, texts, size)] for size in sizes}
    return Workload(dict(sorted({late: 0.0, **shares}.items())), late, texts, batches)
