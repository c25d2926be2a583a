"""Runs the inference server as a child process: waits until it serves, drains it once."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

HOST = "127.0.0.1"
START_TIMEOUT_S = 60.0
POLL_S = 0.05
LAST_LINES = 15


class ServerDied(Exception):
    """The child could not start, ended, or did not serve in time; the message holds its last log lines."""


class InferenceProcess:
    """`python -m services.inference` with its log in a file. Raises ServerDied when a port is taken."""

    def __init__(self, registry: str, port: int, metrics_port: int, log: Path) -> None:
        # another server on the port would answer in our child's place until the child gives up
        for number, name in ((port, "PORT"), (metrics_port, "METRICS_PORT")):
            if _taken(number):
                raise ServerDied(f"port {number} is taken: stop what listens there, or run `make ... {name}=<another>`")
        self.target = f"{HOST}:{port}"
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        self._file = log.open("wb")
        ports = ["--port", str(port), "--metrics-port", str(metrics_port)]
        # a session of its own: Ctrl-C in a terminal reaches us alone, and we pass on exactly one signal
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "services.inference", "--host", HOST, "--registry", registry, *ports],
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
                time.sleep(POLL_S)
        raise ServerDied(f"the server did not serve within {START_TIMEOUT_S:.0f} s:\n{self.last_lines()}")

    def last_lines(self) -> str:
        """The end of its log."""
        with self.log.open(encoding="utf-8", errors="replace") as file:
            return "".join(deque(file, LAST_LINES)).rstrip()

    def wait(self) -> int:
        """Waits until the child ends; returns its exit code."""
        # not Popen.wait: a signal on the way into a blocking call is noticed only when that call returns
        while (code := self._process.poll()) is None:
            time.sleep(POLL_S)
        return code

    def drain(self) -> int:
        """Asks the child, if it still runs, to finish its calls and stop; another Ctrl-C ends it at once.

        Returns its exit code, 0 also where it was told to stop before it served.
        """
        asked = self._process.poll() is None
        if asked:
            self._process.terminate()
        try:
            code = self.wait()
        except KeyboardInterrupt:
            self._process.kill()
            code = self.wait()
        self._file.close()
        return 0 if asked and code == -signal.SIGTERM else code


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((HOST, port)) == 0
