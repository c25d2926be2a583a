"""What was measured on this host, kept in a file, so that the next start and other processes need not measure again."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path

import onnxruntime
from pydantic import BaseModel, ConfigDict, ValidationError

from export.host import describe_host
from export.manifest import Manifest, Variant
from export.records import write_atomically
from services.inference.execution.calibration import Choice
from services.inference.execution.devices import Device

BUSY_COUNTS_S = 3600.0
"""How long a choice counts that was made while others used the cores."""


class Host(BaseModel):
    """What the choice depends on besides the graph."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    processor: str
    instruction_sets: list[str]
    cores: int
    device: str
    device_id: int
    onnxruntime: str


class Entry(BaseModel):
    """Content of a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int
    kind: str
    host: Host
    measured: float
    """Seconds since 1970."""
    choice: Choice


SCHEMA = 2
MEBIBYTE = 1 << 20


class HostRecord:
    """Choices for kinds of graphs (see `kind_of`) on this host.

    A file that is missing, malformed or of another host counts as none.
    """

    def __init__(self, folder: Path, host: Host, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder / "calibration"
        self._host = host
        self._clock = clock

    def path(self, kind: str) -> Path:
        """File of a kind of graph."""
        fingerprint = hashlib.sha256(self._host.model_dump_json().encode()).hexdigest()
        return self._folder / f"{kind[:24]}-{fingerprint[:16]}.json"

    def read(self, kind: str) -> Choice | None:
        """The choice, while it counts."""
        try:
            entry = Entry.model_validate_json(self.path(kind).read_bytes())
        except (OSError, ValidationError):
            return None
        if (entry.schema_version, entry.kind, entry.host) != (SCHEMA, kind, self._host):
            return None
        if not entry.choice.quiet and self._clock() - entry.measured > BUSY_COUNTS_S:
            return None
        return entry.choice

    def write(self, kind: str, choice: Choice) -> str | None:
        """Atomically. Returns why it could not be kept: a server serves without it."""
        entry = Entry(schema_version=SCHEMA, kind=kind, host=self._host, measured=self._clock(), choice=choice)
        try:
            write_atomically(self.path(kind), entry.model_dump_json(indent=2) + "\n")
        except OSError as error:
            return str(error)
        return None


def this_host(device: Device, cores: int) -> Host:
    """The machine that this process runs on."""
    machine = describe_host()
    return Host(
        processor=machine.processor,
        instruction_sets=machine.instruction_sets,
        cores=cores,
        device=device.kind,
        device_id=device.id,
        onnxruntime=onnxruntime.__version__,
    )


def kind_of(manifest: Manifest, variant: Variant) -> str:
    """Equal for files that take the same time: graphs of one shape, whatever their weights.

    So a model that was trained anew is not measured again while its former version serves.
    """
    facts = (
        *(manifest.encoder, manifest.task, manifest.max_length, len(manifest.labels), manifest.width),
        *(variant.precision, variant.device, sorted(variant.recipe.items()), variant.file.size_bytes // MEBIBYTE),
    )
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
