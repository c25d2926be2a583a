"""The report of a benchmark run, as JSON for programs and Markdown for people."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.host import Facts
from benchmarks.level import NOISE, Level

COLUMNS = (
    "callers", "texts/s", "of the limit", "limit texts/s", "by CPU", "neighbours", "p50 ms", "p95 ms", "p99 ms",
    "server CPU ms/text", "generator CPU ms/text", "generator share", "errors",
)  # fmt: skip

EXPLANATION = """\
"Of the limit" is texts/s over the median of the in-process limits measured just before, between and after the windows
of that level; in brackets the same over the fastest and the slowest of them. "By CPU" is CPU time a text: the limit's
over that of server and generator together; where all cores are busy it is near the ratio that a machine without
neighbours would show. "Neighbours" are the cores that other processes used, at the worst moment of the level. The
generator runs on the same cores as the server."""


@dataclass(frozen=True, slots=True)
class Report:
    """A whole run."""

    model: str
    version: int
    variant: str
    texts: str
    distinct_texts: int
    texts_per_call: int
    layout: str
    grid: dict[str, float]
    """Texts/s of every layout of the limit that was tried."""
    agreement: float
    """Share of sampled answers with the label that the model gives in process, the text alone."""
    host: Facts
    create_time: str
    levels: list[Level]


def table(levels: Sequence[Level], cores: int) -> str:
    """The levels as a Markdown table; ratios that neighbours spoiled are struck out."""
    rows = [list(COLUMNS), *(_row(level, cores) for level in levels)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    lines = [
        "| " + " | ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|")
    return "\n".join(lines)


def contention(levels: Sequence[Level], cores: int) -> str:
    """What to say of levels during which the machine had other work; empty when there are none."""
    spoiled = [str(level.callers) for level in levels if level.contended(cores)]
    if not spoiled:
        return ""
    return (
        f"At {', '.join(spoiled)} callers other processes used more than {NOISE:.0%} of the {cores} cores. The ratios "
        "struck out compare unequal shares of the machine and prove nothing; run again when it is quiet."
    )


def markdown(report: Report) -> str:
    """The page of a run."""
    host = report.host
    facts = {
        "model": f"{report.model} version {report.version}, variant {report.variant}",
        "texts": f"{report.texts}, {report.distinct_texts} distinct, {report.texts_per_call} a call",
        "limit": f"{report.layout} (best of {len(report.grid)} layouts)",
        "answers": f"{report.agreement:.1%} of a sample as in process",
        "processor": f"{host.processor}, {host.cores} cores, {', '.join(host.instruction_sets)}",
        "load before": f"{host.load:.2f}",
        "system": host.system,
        "versions": ", ".join(f"{name} {version}" for name, version in host.versions.items()),
        "commit": host.commit,
        "time": report.create_time,
    }
    repeats = sum(level.repeats for level in report.levels)
    warning = f"\n{repeats} texts were sent more than once within a window: the file is short.\n" if repeats else ""
    warning += f"\n{caution}\n" if (caution := contention(report.levels, host.cores)) else ""
    listed = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    return f"# Serving {report.model}\n\n{table(report.levels, host.cores)}\n{warning}\n{EXPLANATION}\n\n{listed}\n"


def write(report: Report, folder: Path, name: str) -> list[Path]:
    """Writes `<name>.json` and `<name>.md` (aside, synced, renamed); returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    content = dataclasses.asdict(report)
    for entry, level in zip(content["levels"], report.levels, strict=True):
        entry |= {
            "generator_share": level.generator_share,
            "cpu_ratio": level.cpu_ratio,
        }
        entry["contended"] = level.contended(report.host.cores)
    pages = {".json": json.dumps(content, indent=2, ensure_ascii=False) + "\n", ".md": markdown(report)}
    paths = []
    for suffix, text in pages.items():
        path = folder / (name + suffix)
        aside = folder / (name + suffix + ".partial")
        with aside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
        paths.append(path)
    return paths


def _row(level: Level, cores: int) -> list[str]:
    ratio = level.ratio
    limits = sorted(level.limits)
    plain = f"{ratio.value:.3f} ({ratio.low:.2f}-{ratio.high:.2f})"
    return [
        str(level.callers),
        f"{level.texts_per_second:.0f}",
        f"~~{plain}~~" if level.contended(cores) else plain,
        f"{limits[0]:.0f}-{limits[-1]:.0f}",
        f"{level.cpu_ratio:.3f}",
        f"{level.neighbours:.2f}",
        f"{level.p50_ms:.1f}",
        f"{level.p95_ms:.1f}",
        f"{level.p99_ms:.1f}",
        f"{level.server_cpu * 1e3:.3f}",
        f"{level.generator_cpu * 1e3:.3f}",
        f"{level.generator_share:.1%}",
        ", ".join(f"{code}: {count}" for code, count in level.errors.items()) or "0",
    ]
