"""What was measured on this host, kept in a file, so that the next start and other processes need not measure again."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import onnxruntime
from pydantic import BaseModel, ConfigDict, ValidationError

from services.inference.execution.calibration import Choice
from services.inference.execution.devices import Device

BUSY_COUNTS_S = 3600.0
"""How long a choice counts that was made while others used the cores."""


class Host(BaseModel):
    """What the choice depends on besides the variant's file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    processor: str
    instruction_sets: str
    """SHA-256 of the processor's flags."""
    cores: int
    device: str
    device_id: int
    onnxruntime: str


class Entry(BaseModel):
    """Content of a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int
    variant: str
    host: Host
    measured: float
    """Seconds since 1970."""
    choice: Choice


SCHEMA = 1


class HostRecord:
    """Choices for variants on this host. A file that is missing, malformed or of another host counts as none."""

    def __init__(self, folder: Path, host: Host, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder / "calibration"
        self._host = host
        self._clock = clock

    def path(self, variant: str) -> Path:
        """File of the variant whose file has this SHA-256."""
        fingerprint = hashlib.sha256(self._host.model_dump_json().encode()).hexdigest()
        return self._folder / f"{variant[:24]}-{fingerprint[:16]}.json"

    def read(self, variant: str) -> Choice | None:
        """The choice, while it counts."""
        try:
            entry = Entry.model_validate_json(self.path(variant).read_bytes())
        except (OSError, ValidationError):
            return None
        if (entry.schema_version, entry.variant, entry.host) != (SCHEMA, variant, self._host):
            return None
        if not entry.choice.quiet and self._clock() - entry.measured > BUSY_COUNTS_S:
            return None
        return entry.choice

    def write(self, variant: str, choice: Choice) -> str | None:
        """Atomically. Returns why it could not be kept: a server serves without it."""
        entry = Entry(schema_version=SCHEMA, variant=variant, host=self._host, measured=self._clock(), choice=choice)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            handle, aside = tempfile.mkstemp(dir=self._folder, suffix=".part")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(json.dumps(entry.model_dump(), indent=2) + "\n")
                    file.flush()
                    os.fsync(file.fileno())
                Path(aside).replace(self.path(variant))
            except OSError:
                with suppress(OSError):
                    Path(aside).unlink()
                raise
        except OSError as error:
            return str(error)
        return None


def this_host(device: Device, cores: int) -> Host:
    """The machine that this process runs on."""
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text(encoding="utf-8", errors="replace") if cpuinfo.is_file() else ""
    facts: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        facts.setdefault(name.strip(), value.strip())
    flags = " ".join(sorted((facts.get("flags") or facts.get("Features") or "").split()))
    return Host(
        processor=facts.get("model name") or platform.processor() or platform.machine(),
        instruction_sets=hashlib.sha256(flags.encode()).hexdigest(),
        cores=cores,
        device=device.kind,
        device_id=device.id,
        onnxruntime=onnxruntime.__version__,
    )
