"""Runs the inference server as a child process and waits until it serves."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import IO

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

START_TIMEOUT_S = 60.0
LAST_LINES = 15


class ServerDied(Exception):
    """The child ended, or did not serve in time; the message holds its last log lines."""


class InferenceProcess:
    """`python -m services.inference` with its log in a file."""

    def __init__(self, arguments: list[str], target: str, log: Path) -> None:
        self.target = target
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[bytes] = log.open("wb")
        # a process group of its own: Ctrl-C reaches us alone, and we pass on exactly one signal
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "services.inference", *arguments],
            stdout=self._file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def wait_until_serving(self) -> float:
        """Seconds until health says SERVING. Raises ServerDied."""
        begun = time.monotonic()
        with grpc.insecure_channel(self.target) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            while time.monotonic() - begun < START_TIMEOUT_S:
                if self._process.poll() is not None:
                    raise ServerDied(f"the server ended with code {self._process.returncode}:\n{self.last_lines()}")
                try:
                    status = stub.Check(health_pb2.HealthCheckRequest(), timeout=1.0).status
                    if status == health_pb2.HealthCheckResponse.SERVING:
                        return time.monotonic() - begun
                except grpc.RpcError:
                    pass  # not listening yet
                time.sleep(0.05)
        raise ServerDied(f"the server did not serve within {START_TIMEOUT_S:.0f} s:\n{self.last_lines()}")

    def last_lines(self) -> str:
        """The end of its log."""
        with self.log.open(encoding="utf-8", errors="replace") as file:
            return "".join(deque(file, LAST_LINES)).rstrip()

    def wait(self) -> int:
        """Waits until the child ends by itself."""
        return self._process.wait()

    def drain(self) -> int:
        """Asks it to finish its calls and stop; returns its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        code = self._process.wait()
        self._file.close()
        return code
