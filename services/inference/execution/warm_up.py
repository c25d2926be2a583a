"""Runs the shapes that matter once, so that no caller pays for what ONNX Runtime does on the first run of a shape."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from services.inference.execution.layout import Layout
from services.inference.prediction import Encoded

CPU_SECONDS, GPU_SECONDS = 0.3, 20.0
"""At most. On a GPU kernels are loaded and chosen by shape, and TensorRT may build an engine."""


def warm_up(
    layout: Layout,
    max_length: int,
    batch: tuple[int, int],
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
) -> int:
    """Lone texts and full batches of 8, 16, 32, ... tokens a text; `batch` is (texts, tokens). Returns how many were run."""
    until = clock() + seconds
    done = 0
    for length in lengths(max_length):
        row = Encoded(np.zeros(length, np.int64))
        for session in layout.sessions:
            alone = session is layout.wide
            for rows in sorted({1} if alone else {1, max(1, min(batch[0], batch[1] // length))}):
                if clock() >= until:
                    return done
                session.run([row] * rows)
                done += 1
    return done


def lengths(max_length: int) -> list[int]:
    """8, 16, 32, ... and the longest."""
    powers = [1 << power for power in range(3, max_length.bit_length())]
    return sorted({min(power, max_length) for power in powers} | {max_length})
