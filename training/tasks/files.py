"""What an evaluation leaves in a run's folder besides its plots."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path


def write_metrics(
    folder: Path, temperature: float, scores: Mapping[str, Mapping[str, float]], more: Mapping[str, object]
) -> None:
    """metrics.json: the temperature, the scores of each split, and what the task adds."""
    content = {"temperature": temperature, "scores": scores, **more}
    text = json.dumps(content, ensure_ascii=False, indent=2)
    (folder / "metrics.json").write_text(text + "\n", encoding="utf-8")


def write_predictions(folder: Path, lines: Iterable[Mapping[str, object]]) -> None:
    """predictions.jsonl: one object for each test row."""
    with (folder / "predictions.jsonl").open("w", encoding="utf-8") as file:
        for line in lines:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
