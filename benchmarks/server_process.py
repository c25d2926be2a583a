"""The server under test: started as users start it, waited for, watched from outside, ended."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
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

    def cpu_seconds(self) -> float:
        """CPU time of the process since its start, user and system, all threads."""
        return cpu_seconds(self.pid)


def cpu_seconds(pid: int) -> float:
    """User and system time from /proc/<pid>/stat (proc(5), fields 14 and 15; ticks of 10 ms)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(command: list[str], port: int, log: Path, timeout: float = 120.0) -> Iterator[ServerProcess]:
    """Starts `command`, which must listen on `port`, waits until it is SERVING, and terminates it at the end.

    ServerFailed names the log when the server ends early or is not healthy after `timeout` seconds.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        address = ("127.0.0.1", port)
        until = time.monotonic() + timeout
        while not _serving(address):
            if process.poll() is not None:
                raise ServerFailed(f"the server ended with exit code {process.returncode}; its output is in {log}")
            if time.monotonic() > until:
                raise ServerFailed(f"the server is not healthy after {timeout:.0f} s; its output is in {log}")
            time.sleep(0.2)
        yield ServerProcess(address, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(timeout=45)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def inference_command(registry: str, model: str, port: int, metrics_port: int) -> list[str]:
    """How a user starts the inference server, by flags."""
    return [
        *(sys.executable, "-m", "services.inference"),
        *("--registry", registry, "--models", model, "--port", str(port), "--metrics-port", str(metrics_port)),
    ]


def _serving(address: tuple[str, int]) -> bool:
    try:
        with Generator(address, HEALTH_PATH, callers=1) as generator:
            call = generator.call(b"")
    except (OSError, ProtocolError):
        return False
    return call.status == 0 and call.message == SERVING
