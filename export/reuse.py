"""Whether a published version still answers to today's run, settings and code."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from export.failures import ExportFailure, MalformedBundle
from export.registry import Registry
from export.settings import ExportSettings
from training.fingerprint import combined, source_fingerprint
from training.run import RunDirectory, RunRecord


def complete_run(run: RunDirectory) -> RunRecord:
    """The record of a complete run. Raises ExportFailure when it is not complete."""
    record = run.record()
    if record is None:
        raise ExportFailure(
            f"{run.root} is not a complete run (no run.json, or one of another version of this program): finish it with "
            "`python -m training fit`"
        )
    return record


def step_fingerprint(record: RunRecord, settings: ExportSettings) -> str:
    """SHA-256 over the run (its own fingerprint and when it was made), the settings with the candidate runs, and the code of
    `export`. Raises ExportFailure where a candidate run is not complete."""
    spec = find_spec("export")
    assert spec is not None and spec.origin is not None
    code = source_fingerprint(Path(spec.origin).parent)
    candidates = [complete_run(RunDirectory(folder)) for folder in settings.candidate_runs]
    runs = [part for each in (record, *candidates) for part in (each.step_fingerprint, each.create_time)]
    return combined(*runs, settings.model_dump_json(), code)


def published_version(registry: Registry, name: str, fingerprint: str) -> int | None:
    """The newest intact version with this fingerprint."""
    for version in reversed(registry.versions(name)):
        try:
            if registry.manifest(name, version).export_fingerprint != fingerprint:
                continue
            registry.open(name, version)
        except MalformedBundle:
            continue
        return version
    return None
