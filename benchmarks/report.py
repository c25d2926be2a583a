"""The report of a benchmark run, as JSON for programs and Markdown for people."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.host import Facts
from benchmarks.level import NOISE, Level
from benchmarks.lone import Lone
from benchmarks.pages import columns, listed, of_host, write_pages

MIB = 1 << 20

COLUMNS = (
    "callers", "texts/s", "of the limit", "limit texts/s", "by CPU", "neighbours", "p50 ms", "p95 ms", "p99 ms",
    "server CPU s/1,000", "generator CPU s/1,000", "limit CPU s/1,000", "generator share", "padded/real", "texts/batch",
    "errors",
)  # fmt: skip

EXPLANATION = """\
"Of the limit" is texts/s over the median of the in-process limits measured just before, between and after the windows
of that level; in brackets the same over the fastest and the slowest of them. "By CPU" is CPU time a text: the limit's
over that of server and generator together; where all cores are busy it is near the ratio that a machine without
neighbours would show. "CPU s/1,000" are CPU seconds for 1,000 texts. "Padded/real" are the tokens that the server
computed for each real one, "texts/batch" the mean size of its batches, both by its own count. "Neighbours" are the
cores that other processes used, at the worst moment of the level. The generator runs on the same cores as the server."""


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
    rounds: int = 1
    seconds: float = 0.0
    """Length of a round."""
    processes: int = 1
    memory_warm: int = 0
    """Resident bytes of the server after it was warmed up."""
    memory_end: int = 0
    lone: Lone | None = None


def table(levels: Sequence[Level], cores: int) -> str:
    """The levels as a Markdown table; ratios that neighbours spoiled are struck out."""
    return columns(COLUMNS, [_row(level, cores) for level in levels])


def lone_line(lone: Lone) -> str:
    """What a lone caller waits beside the bare session."""
    return (
        f"One caller, {lone.texts} texts in turns with the bare session and tokenizer: p50 {lone.server_p50_ms:.2f} ms "
        f"against {lone.bare_p50_ms:.2f} ms (+{lone.difference_ms:.2f} ms), p95 {lone.server_p95_ms:.2f} ms against "
        f"{lone.bare_p95_ms:.2f} ms."
    )


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
    facts = {
        "model": f"{report.model} version {report.version}, variant {report.variant}",
        "texts": f"{report.texts}, {report.distinct_texts} distinct, {report.texts_per_call} a call",
        "limit": f"{report.layout} (best of {len(report.grid)} layouts)",
        "rounds": f"{report.rounds} of {report.seconds:g} s, server and limit in turn",
        "server processes": report.processes,
        "answers": f"{report.agreement:.1%} of a sample as in process",
        "server memory": f"{report.memory_warm / MIB:.0f} MiB after warm-up, {report.memory_end / MIB:.0f} MiB at the end",
        **of_host(report.host),
        "time": report.create_time,
    }
    repeats = sum(level.repeats for level in report.levels)
    warning = f"\n{repeats} texts were sent more than once within a window: the file is short.\n" if repeats else ""
    warning += f"\n{caution}\n" if (caution := contention(report.levels, report.host.cores)) else ""
    alone = f"\n{lone_line(report.lone)}\n" if report.lone else ""
    return (
        f"# Serving {report.model}\n\n{table(report.levels, report.host.cores)}\n{alone}{warning}\n{EXPLANATION}\n\n"
        f"{listed(facts)}\n"
    )


def write(report: Report, folder: Path, name: str) -> list[Path]:
    """Writes `<name>.json` and `<name>.md`; returns their paths."""
    content = dataclasses.asdict(report)
    for entry, level in zip(content["levels"], report.levels, strict=True):
        entry |= {
            "generator_share": level.generator_share,
            "cpu_ratio": level.cpu_ratio,
        }
        entry["contended"] = level.contended(report.host.cores)
    if report.lone:
        content["lone"]["difference_ms"] = report.lone.difference_ms
    return write_pages(folder, name, content, markdown(report))


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
        f"{level.limit_cpu * 1e3:.3f}",
        f"{level.generator_share:.1%}",
        f"{level.waste:.3f}",
        f"{level.batch_texts:.1f}",
        ", ".join(f"{code}: {count}" for code, count in level.errors.items()) or "0",
    ]
