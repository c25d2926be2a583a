"""What runs cost on the host that serves, measured at load, because it decides how texts are best scheduled.

A run costs something besides its tokens: about 6 tokens' worth on an AVX2 processor, 30 with VNNI, hundreds on a GPU; the
dearer it is, the larger batches should be. And a lone text gains from all cores only from some length on: on 2 VNNI cores
16 tokens take as long on both sessions, 128 take 0.7 times as long on the wide one.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import numpy as np
import onnxruntime

from export.manifest import Manifest
from services.inference.computation import output_of
from services.inference.prediction import Encoded
from services.inference.session import Sessions, run

ROWS, TOKENS = 8, 16
REPEATS = 7
LEAST, MOST = 1.0, 2_000.0
WIDE_LENGTHS = (8, 16, 32, 64, 128)


@dataclass(frozen=True, slots=True)
class HostCosts:
    """Measured costs of one model on one host."""

    run_cost_tokens: float
    """What a run costs besides its tokens, in tokens, within 1..2,000."""
    wide_from_tokens: int | None
    """Shortest lone text, in tokens, that the wide session computes sooner; None where it never does, or is not there."""


def measure(sessions: Sessions, manifest: Manifest) -> HostCosts:
    """Times runs of dummy rows; takes some tenths of a second."""
    clock = Stopwatch(sessions, manifest.pad_token_id, output_of(manifest.task))
    return HostCosts(_run_cost(clock, manifest.max_length), _wide_from(clock, manifest.max_length))


def _run_cost(clock: Stopwatch, max_length: int) -> float:
    length = min(TOKENS, max_length)
    one, many = (clock.seconds(clock.sessions.narrow, rows, length) for rows in (1, ROWS))
    per_token = (many - one) / ((ROWS - 1) * length)
    if per_token <= 0:
        return MOST
    return min(MOST, max(LEAST, one / per_token - length))


def _wide_from(clock: Stopwatch, max_length: int) -> int | None:
    """Walks down from the longest, so that one lucky short run decides nothing."""
    narrow, wide, shortest = clock.sessions.narrow, clock.sessions.wide, None
    for length in reversed([each for each in WIDE_LENGTHS if each <= max_length] or [max_length]):
        if wide is None or clock.seconds(wide, 1, length) >= clock.seconds(narrow, 1, length):
            break
        shortest = length
    return shortest


@dataclass(frozen=True, slots=True)
class Stopwatch:
    """Times sessions on dummy rows."""

    sessions: Sessions
    pad: int
    output: str

    def seconds(self, session: onnxruntime.InferenceSession, rows: int, length: int) -> float:
        """Median of some runs; the first is not counted, it plans memory for the shape."""
        batch = [Encoded(np.zeros(length, np.int64))] * rows
        times = []
        for _ in range(REPEATS):
            begun = time.perf_counter()
            run(session, batch, self.sessions.inputs, self.pad, self.output)
            times.append(time.perf_counter() - begun)
        return statistics.median(times[1:])
