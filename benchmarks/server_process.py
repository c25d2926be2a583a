"""The server under test: started as users start it, waited for, watched from outside, ended."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.generator import Generator
from benchmarks.http2 import ProtocolError

HEALTH_PATH = "/grpc.health.v1.Health/Check"
SERVING = b"\x08\x01"
"""HealthCheckResponse{status: SERVING}, serialized; the request for the whole server is the empty message."""


class ServerFailed(Exception):
    """The server under test ended or did not become healthy."""


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A running server."""

    address: tuple[str, int]
    pid: int
    metrics_port: int = 0

    def cpu_seconds(self) -> float:
        """CPU time of the process and those it started, since their start, user and system, all threads."""
        return sum(map(cpu_seconds, family(self.pid)))

    def memory_bytes(self) -> int:
        """Resident memory of the process and those it started; pages that they share count for each."""
        return sum(map(memory_bytes, family(self.pid)))

    def alive(self) -> bool:
        """Whether the process runs; what has ended and is not waited for yet does not."""
        try:
            return _stat(self.pid)[0] != "Z"
        except OSError:
            return False


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    found = [pid]
    for each in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{each}/task").iterdir():
                found += map(int, (task / "children").read_text(encoding="ascii").split())
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time from /proc/<pid>/stat (proc(5), fields 14 and 15; ticks of 10 ms); 0 for one that is gone."""
    try:
        fields = _stat(pid)
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_bytes(pid: int) -> int:
    """Resident set size from /proc/<pid>/stat (field 24, pages); 0 for a process that is gone."""
    try:
        return int(_stat(pid)[21]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _stat(pid: int) -> list[str]:
    """Fields 3 and following; the second is the name, which may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(
    command: list[str],
    port: int,
    log: Path,
    timeout: float = 120.0,
    metrics_port: int = 0,
    environment: Mapping[str, str] | None = None,
) -> Iterator[ServerProcess]:
    """Starts `command`, which must listen on `port`, waits until it is SERVING, and terminates it at the end.

    `environment` is added to this process's own.

    ServerFailed names the log when the server ends early or is not healthy after `timeout` seconds.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})}
        )
    try:
        address = ("127.0.0.1", port)
        until = time.monotonic() + timeout
        while not _serving(address):
            if process.poll() is not None:
                raise ServerFailed(f"the server ended with exit code {process.returncode}; its output is in {log}")
            if time.monotonic() > until:
                raise ServerFailed(f"the server is not healthy after {timeout:.0f} s; its output is in {log}")
            time.sleep(0.2)
        yield ServerProcess(address, process.pid, metrics_port)
    finally:
        process.terminate()
        try:
            process.wait(timeout=45)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def inference_command(registry: str, model: str, port: int, metrics_port: int, processes: int = 1) -> list[str]:
    """How a user starts the inference server, by flags."""
    return [
        *(sys.executable, "-m", "services.inference"),
        *("--registry", registry, "--models", model, "--port", str(port), "--metrics-port", str(metrics_port)),
        *(("--processes", str(processes)) if processes > 1 else ()),
    ]


@contextmanager
def inference(
    registry: str, model: str, log: Path, processes: int = 1, environment: Mapping[str, str] | None = None
) -> Iterator[ServerProcess]:
    """A running inference server on free ports."""
    port, metrics_port = free_port(), free_port()
    command = inference_command(registry, model, port, metrics_port, processes)
    with running(command, port, log, metrics_port=metrics_port, environment=environment) as server:
        yield server


def _serving(address: tuple[str, int]) -> bool:
    try:
        with Generator(address, HEALTH_PATH, callers=1) as generator:
            call = generator.call(b"")
    except (OSError, ProtocolError):
        return False
    return call.status == 0 and call.message == SERVING
