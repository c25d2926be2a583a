"""Times the sessions of a model under the load of all workers, and alone."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np

from services.inference.execution.calibration import Lone, Shape
from services.inference.execution.layout import SessionSet
from services.inference.execution.session import Session
from services.inference.prediction import Encoded

LOOK_S = 0.06
"""How long to watch what others do; the kernel counts in hundredths of a second."""
REST_S = 0.001
"""Before a lone run, as a lone caller would: whoever just computed has to make way for others."""


class SessionStopwatch:
    """As `calibration.Stopwatch`.

    Runs of one thread on a CPU are timed by that thread's processor time, which other programs cannot lengthen much: on a
    machine three times overbooked it repeats within 3 % where the clock is off by half. All other runs need the clock.
    """

    def __init__(self, sessions: SessionSet) -> None:
        self._sessions = sessions
        self.cores = sessions.cores
        self.bindable = sessions.on_gpu
        self._workers = sessions.workers
        self._pool = ThreadPoolExecutor(self._workers, "calibration")

    def now(self) -> float:
        """Seconds."""
        return time.perf_counter()

    def busy(self, threads: int, shape: Shape) -> list[float]:
        """One run by each worker, all at once."""
        sessions = self._sessions.of(threads)
        workers = max(1, self._workers // threads)
        clock = time.thread_time if threads == 1 and not self._sessions.on_gpu else time.perf_counter
        barrier = Barrier(workers)
        rows = _rows(shape)
        runs = [
            self._pool.submit(_timed, barrier, clock, sessions[number % len(sessions)], rows)
            for number in range(workers)
        ]
        return [run.result() for run in runs]

    def lone(self, wide: bool, length: int) -> Lone:
        """One run after a short rest."""
        session = self._sessions.of(self.cores if wide else 1)[0]
        rows = _rows(Shape(1, length))
        time.sleep(REST_S)
        wall, processor = time.perf_counter(), time.thread_time()
        session.run(rows)
        return Lone(time.perf_counter() - wall, time.thread_time() - processor)

    def bind(self, on: bool) -> None:
        """On a GPU alone; on a CPU inputs lie where they are computed anyway."""
        for session in self._sessions.of(1):
            session.bind(self._sessions.device) if on else session.unbind()

    def used_elsewhere(self) -> float:
        """What the kernel says of the cores this process may use; 0 where it does not say."""
        before = _idle_s()
        time.sleep(LOOK_S)
        after = _idle_s()
        return min(1.0, max(0.0, 1.0 - (after - before) / (LOOK_S * len(os.sched_getaffinity(0))))) if after else 0.0

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown()


def _timed(barrier: Barrier, clock: Callable[[], float], session: Session, rows: list[Encoded]) -> float:
    barrier.wait()
    begun = clock()
    session.run(rows)
    return clock() - begun


def _idle_s() -> float:
    """Seconds that this process's cores had nothing to do, since the machine was started; 0 if unknown."""
    stat = Path("/proc/stat")
    if not stat.is_file():
        return 0.0
    mine = {f"cpu{core}" for core in os.sched_getaffinity(0)}
    fields = (line.split() for line in stat.read_text(encoding="ascii").splitlines())
    # idle and waiting for disks
    ticks = sum(int(field[4]) + int(field[5]) for field in fields if field and field[0] in mine)
    return ticks / os.sysconf("SC_CLK_TCK")


def _rows(shape: Shape) -> list[Encoded]:
    return [Encoded(np.zeros(shape.length, np.int64))] * shape.rows
