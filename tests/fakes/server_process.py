"""A real inference server as a process of its own, with its log at hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0


class ServerProcess:
    """`python -m services.inference` on free ports of 127.0.0.1."""

    def __init__(self, registry: Path, *options: str, environment: Mapping[str, str] | None = None) -> None:
        command = [sys.executable, "-m", "services.inference", "--registry", str(registry)]
        ports = ["--port", "0", "--metrics-port", "0"]
        self.process = subprocess.Popen(
            [*command, *ports, *options],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._changed:
                self.lines.append(line)
                self._changed.notify_all()

    def event(self, name: str, where: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
        """Waits for a log line of that event for which `where` holds, and returns the first."""
        end = time.monotonic() + PATIENCE_S
        with self._changed:
            while not (found := [entry for entry in self.events(name) if where(entry)]):
                if not self._changed.wait(max(0.0, end - time.monotonic())):
                    raise AssertionError(f"no {name!r} among:\n{''.join(self.lines)}")
        return found[0]

    def events(self, name: str) -> list[dict[str, Any]]:
        """Log lines of that event so far."""
        entries = [json.loads(line) for line in self.lines if line.startswith("{")]
        return [entry for entry in entries if entry.get("event") == name]

    @property
    def address(self) -> str:
        """host:port, once it serves."""
        return f"127.0.0.1:{self.event('serving')['port']}"

    def metrics(self) -> str:
        """The page at /metrics."""
        port = self.event("serving")["metrics_port"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
            text: str = page.read().decode()
        return text

    def ended(self) -> int:
        """Waits for the end of the process; returns its exit status."""
        code = self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        return code

    def close(self) -> None:
        """Ends it, however."""
        self.process.kill()
        self.process.wait()
        self._reader.join(PATIENCE_S)
        for stream in (self.process.stderr, self.process.stdout):
            assert stream is not None
            stream.close()


@contextmanager
def server_process(
    registry: Path, *options: str, environment: Mapping[str, str] | None = None
) -> Iterator[ServerProcess]:
    """A process that is ended with the block."""
    process = ServerProcess(registry, *options, environment=environment)
    try:
        yield process
    finally:
        process.close()
