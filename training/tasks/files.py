"""What an evaluation leaves in a run's folder besides its plots."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

METRICS = "metrics.json"


def write_metrics(
    folder: Path, temperature: float, scores: Mapping[str, Mapping[str, float]], more: Mapping[str, object]
) -> None:
    """metrics.json: the temperature, the scores of each split, and what the task adds."""
    _write(folder / METRICS, {"temperature": temperature, "scores": scores, **more})


def add_to_metrics(folder: Path, more: Mapping[str, object]) -> None:
    """Adds to metrics.json what is measured besides the task."""
    path = folder / METRICS
    _write(path, {**json.loads(path.read_text(encoding="utf-8")), **more})


def _write(path: Path, content: Mapping[str, object]) -> None:
    text = json.dumps(content, ensure_ascii=False, indent=2)
    path.write_text(text + "\n", encoding="utf-8")


def write_predictions(folder: Path, lines: Iterable[Mapping[str, object]]) -> None:
    """predictions.jsonl: one object for each test row."""
    with (folder / "predictions.jsonl").open("w", encoding="utf-8") as file:
        for line in lines:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
