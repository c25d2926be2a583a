"""`--processes N`: N inference servers that share one port and the machine's cores, and the parent that watches them.

The kernel spreads connections over them (SO_REUSEPORT). The parent loads no model; it serves /metrics for all.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from pydantic import ValidationError

from services.inference.metrics import PREFIX
from services.inference.settings import InferenceSettings
from services.platform.exposition import SHARED, expose, forget_gauges, over_processes
from services.platform.lifecycle import end_at_once, stop_signal
from services.platform.ports import ReservedPort
from services.platform.processes import Processes, Program
from services.platform.server import ServerNotStarted

AFTER_DRAIN_S = 5.0
"""What a process may need beyond its drain timeout before it is killed."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Share:
    """What one process may use; no cores: wherever the kernel puts it."""

    threads: int
    cores: tuple[int, ...]


def shares(cores: Sequence[int], threads: int, processes: int) -> list[Share]:
    """Divides threads (0: one a core) and cores among processes.

    Where all cores are used and each process gets one at least, it stays on neighbouring ones, whose caches it then has
    for itself. Where there are fewer threads than cores, the kernel knows better which are free.
    """
    total = threads or len(cores)
    bounds = [number * total // processes for number in range(processes + 1)]
    parts = [max(1, bounds[number + 1] - bounds[number]) for number in range(processes)]
    if threads or len(cores) < processes:
        return [Share(part, ()) for part in parts]
    return [Share(part, tuple(cores[bounds[number] : bounds[number + 1]])) for number, part in enumerate(parts)]


class ProcessCollector(Collector):
    """How many processes serve, and how often one was started again."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes

    def collect(self) -> Iterator[Metric]:
        """Looked up at every scrape."""
        yield GaugeMetricFamily(PREFIX + "processes", "Processes that serve.", self._processes.serving)
        yield CounterMetricFamily(
            PREFIX + "process_restarts", "Processes started again after one ended.", self._processes.restarts
        )


async def _serve(settings: InferenceSettings, folder: Path) -> None:
    begun = time.monotonic()
    port = ReservedPort(settings.host, settings.port)
    processes = Processes(_programs(settings, port.port, folder), lambda pid: forget_gauges(pid, folder))
    registry = over_processes(folder)
    registry.register(ProcessCollector(processes))
    metrics_port = expose(registry, settings.host, settings.metrics_port)

    def end_all_at_once() -> None:
        processes.kill()
        end_at_once()

    stopped = asyncio.create_task(stop_signal(again=end_all_at_once))
    starting = asyncio.create_task(processes.start())
    await asyncio.wait([starting, stopped], return_when=asyncio.FIRST_COMPLETED)
    if starting.done():
        models = (await starting)[0]["models"]
        log.info(
            "serving",
            host=settings.host,
            port=port.port,
            metrics_port=metrics_port,
            device=settings.device,
            processes=settings.processes,
            startup_s=round(time.monotonic() - begun, 3),
            models=models,
        )
    reason = await stopped
    log.info("draining", signal=reason, timeout_s=settings.drain_timeout_s)
    starting.cancel()
    await processes.stop(settings.drain_timeout_s + settings.drain_linger_s + AFTER_DRAIN_S)
    port.close()
    log.info("stopped")


def _programs(settings: InferenceSettings, port: int, folder: Path) -> list[Program]:
    cores = sorted(os.sched_getaffinity(0))
    environment = {**os.environ, SHARED: str(folder)}
    programs = []
    for number, share in enumerate(shares(cores, settings.threads, settings.processes)):
        own = _own(settings, threads=share.threads, port=port, processes=1)
        line = json.dumps({"number": number, "cores": share.cores, "settings": own.model_dump(mode="json")})
        programs.append(
            Program([sys.executable, "-m", "services.inference", "--as-process"], environment, line.encode() + b"\n")
        )
    return programs


def _own(settings: InferenceSettings, **changed: int) -> InferenceSettings:
    """The settings of one process, which have to be consistent, too."""
    try:
        return InferenceSettings(**{**settings.model_dump(), **changed})
    except ValidationError as error:
        raise ServerNotStarted(f"for one of {settings.processes} processes: {error.errors()[0]['msg']}") from None


def run(settings: InferenceSettings) -> None:
    """Blocks until all processes have stopped. Raises ServerNotStarted, or NotStarted when a process could not."""
    folder = Path(tempfile.mkdtemp(prefix="bertline-metrics-"))
    try:
        asyncio.run(_serve(settings, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
