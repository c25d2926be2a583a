"""Serves Prometheus metrics over HTTP at /metrics: those of this process, or the sum over several."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry, disable_created_metrics, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from services.platform.server import ServerNotStarted

SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable with the folder in which processes keep their values; set before prometheus_client is imported."""


def expose(registry: CollectorRegistry, host: str, port: int) -> int:
    """Starts the HTTP endpoint on a thread; port 0 takes a free one. Returns the port. Raises ServerNotStarted."""
    # when a counter began is of no use to rate(), and would be a series more for each one
    disable_created_metrics()  # type: ignore[no-untyped-call]
    try:
        server, _ = start_http_server(port, host, registry=registry)
    except OSError:
        raise ServerNotStarted(f"cannot serve metrics on {host}:{port}: choose another with --metrics-port") from None
    return int(server.server_port)


def over_processes(folder: Path) -> CollectorRegistry:
    """A registry that adds up what the processes left in the folder; counters of ended ones keep counting."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]  # registers itself
    return registry


def forget_gauges(pid: int, folder: Path) -> None:
    """What a process said of its present state is over; what it counted stays."""
    mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
