"""What one run of a session costs besides its tokens, measured at load on the host that serves.

Batches are worth what they save: on an AVX2 processor a run costs about as much as 6 tokens, with VNNI about 30, on a GPU
hundreds. So it is measured, not assumed.
"""

from __future__ import annotations

import statistics
import time

import numpy as np

from services.inference.prediction import Encoded
from services.inference.session import Sessions, run

ROWS, TOKENS = 8, 16
REPEATS = 7
LEAST, MOST = 1.0, 2_000.0


def measured_run_cost(sessions: Sessions, pad: int, max_length: int) -> float:
    """Cost of a run in tokens, from the time of one row and of eight, within 1..2,000. Takes some tens of milliseconds."""
    length = min(TOKENS, max_length)
    ids = np.zeros(length, np.int64)
    row = Encoded(ids, ids, truncated=False)
    one, many = (_median_seconds(sessions, [row] * rows, pad) for rows in (1, ROWS))
    per_token = (many - one) / ((ROWS - 1) * length)
    if per_token <= 0:
        return MOST
    return min(MOST, max(LEAST, one / per_token - length))


def _median_seconds(sessions: Sessions, rows: list[Encoded], pad: int) -> float:
    times = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        run(sessions.narrow, rows, sessions.inputs, pad)
        times.append(time.perf_counter() - begun)
    return statistics.median(times[1:])
