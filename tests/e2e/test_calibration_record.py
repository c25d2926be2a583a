"""A server measures its host once; the next one starts with what is recorded, unless that is spoiled."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.fakes.tiny_bundle import publish_tiny

ROOT = Path(__file__).resolve().parents[2]


def chosen(registry: Path, state: Path, *more: str) -> dict[str, Any]:
    """Starts a server, waits until it serves, stops it; returns its line about the execution."""
    command = [sys.executable, "-m", "services.inference", "--registry", str(registry), "--state-dir", str(state)]
    command += ["--port", "0", "--metrics-port", "0", *more]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        found: dict[str, Any] = {}
        for line in process.stderr:
            entry = json.loads(line) if line.startswith("{") else {}
            if entry.get("event") == "execution chosen":
                found = entry
            if entry.get("event") == "serving":
                process.terminate()
        process.wait(timeout=30)
    return found


def test_the_second_start_reuses_the_record_and_a_spoiled_one_is_made_anew(tmp_path: Path) -> None:
    registry, state = tmp_path / "registry", tmp_path / "state"
    publish_tiny(registry)
    first = chosen(registry, state)
    second = chosen(registry, state)
    assert (first["source"], second["source"]) == ("measured", "recorded")
    for number in ("threads", "batch_texts", "batch_tokens", "run_cost_tokens", "wide_from_tokens"):
        assert second[number] == first[number]
    (record,) = (state / "calibration").iterdir()
    record.write_bytes(record.read_bytes()[:40])
    assert chosen(registry, state)["source"] == "measured"
    assert chosen(registry, state, "--max-batch-texts", "5")["batch_texts"] == 5
