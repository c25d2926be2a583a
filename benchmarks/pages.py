"""Reports on disk, as JSON for programs and Markdown for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.host import Facts
from export.records import write_atomically


def columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, aligned to the right."""
    every = [list(header), *map(list, rows)]
    widths = [max(len(row[column]) for row in every) for column in range(len(header))]
    lines = [
        "| " + " | ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in every
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|")
    return "\n".join(lines)


def listed(facts: Mapping[str, object]) -> str:
    """Facts as a Markdown list."""
    return "\n".join(f"- {name}: {value}" for name, value in facts.items())


def of_host(host: Facts) -> dict[str, str]:
    """What a page says of the machine."""
    return {
        "processor": f"{host.processor}, {host.cores} cores, {', '.join(host.instruction_sets)}",
        "load before": f"{host.load:.2f}",
        "system": host.system,
        "versions": ", ".join(f"{name} {version}" for name, version in host.versions.items()),
        "commit": host.commit,
    }


def write_pages(folder: Path, name: str, content: Mapping[str, Any], page: str) -> list[Path]:
    """Writes `<name>.json` and `<name>.md` (aside, synced, renamed); returns their paths."""
    texts = {".json": json.dumps(content, indent=2, ensure_ascii=False) + "\n", ".md": page}
    paths = []
    for suffix, text in texts.items():
        paths.append(folder / (name + suffix))
        write_atomically(paths[-1], text)
    return paths
