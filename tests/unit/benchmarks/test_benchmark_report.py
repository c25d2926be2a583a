from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from benchmarks.figures import Ratio
from benchmarks.host import Facts, commit, facts
from benchmarks.level import Level
from benchmarks.lone import Lone
from benchmarks.report import COLUMNS, Report, contention, markdown, table, write

LEVEL = Level(
    callers=32, texts=4_000, texts_per_second=500.4, ratio=Ratio(0.871, 0.85, 0.9), p50_ms=60.04, p95_ms=80.0,
    p99_ms=95.5, server_cpu=0.0035, generator_cpu=0.00005, limit_cpu=0.003, errors={}, repeats=0, waste=1.043, batch_texts=5.25,
    limits=[580.0, 556.0, 574.5], neighbours=0.15,
)  # fmt: skip
HOST = Facts("A processor", ["avx2"], 2, 0.51, "Linux 6", {"python": "3.11", "grpcio": "1.85"}, "abc with changes")
REPORT = Report(
    model="intents", version=3, variant="int8-static", texts="rows.csv", distinct_texts=9_000, texts_per_call=1,
    layout="2 x 1 threads, batches of 8", grid={"2 x 1 threads, batches of 8": 574.0, "1 x 2 threads, batches of 8": 401.0},
    agreement=1.0, host=HOST, create_time="2026-01-01T00:00:00+00:00", levels=[LEVEL],
)  # fmt: skip


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_table_has_a_row_for_each_level_with_every_figure() -> None:
    header, rule, *rows = table(
        [LEVEL, dataclasses.replace(LEVEL, callers=1, errors={"8": 2, "14": 1})], 2
    ).splitlines()
    assert cells(header) == list(COLUMNS)
    assert len(rule) == len(header)
    assert cells(rows[0]) == [
        "32", "500", "0.871 (0.85-0.90)", "556-580", "0.845", "0.15", "60.0", "80.0", "95.5", "3.500", "0.050",
        "3.000", "1.4%", "1.043", "5.2", "0",
    ]  # fmt: skip
    assert (cells(rows[1])[0], cells(rows[1])[-1]) == ("1", "8: 2, 14: 1")


def test_the_page_names_machine_versions_and_commit() -> None:
    page = markdown(REPORT)
    for fact in ("A processor", "avx2", "grpcio 1.85", "abc with changes", "int8-static", "load before: 0.51", "9000"):
        assert fact in page


def test_a_ratio_taken_among_busy_neighbours_is_struck_out_and_explained() -> None:
    busy = dataclasses.replace(LEVEL, callers=8, neighbours=1.1)
    rows = table([LEVEL, busy], 2).splitlines()[2:]
    assert [cells(row)[2] for row in rows] == ["0.871 (0.85-0.90)", "~~0.871 (0.85-0.90)~~"]
    assert "At 8 callers other processes used" in markdown(dataclasses.replace(REPORT, levels=[LEVEL, busy]))
    assert contention([LEVEL], 2) == ""
    assert not contention([busy], 64), "one busy core of 64 is noise"


def test_memory_rounds_and_a_lone_caller_are_on_the_page() -> None:
    lone = Lone(texts=320, bare_p50_ms=3.1, bare_p95_ms=3.5, server_p50_ms=4.0, server_p95_ms=5.0)
    page = markdown(
        dataclasses.replace(REPORT, rounds=3, seconds=20.0, memory_warm=300 << 20, memory_end=305 << 20, lone=lone)
    )
    for fact in ("3 of 20 s", "300 MiB after warm-up, 305 MiB at the end", "(+0.90 ms)", "p95 5.00 ms against 3.50 ms"):
        assert fact in page
    assert "One caller" not in markdown(REPORT)


def test_repeated_texts_are_confessed() -> None:
    assert "more than once" not in markdown(REPORT)
    repeated = dataclasses.replace(REPORT, levels=[dataclasses.replace(LEVEL, repeats=12)])
    assert "12 texts were sent more than once" in markdown(repeated)


def test_both_forms_are_written_and_nothing_else_is_left(tmp_path: Path) -> None:
    paths = write(REPORT, tmp_path / "bench", "serving-intents")
    assert sorted(path.name for path in (tmp_path / "bench").iterdir()) == [
        "serving-intents.json",
        "serving-intents.md",
    ]
    content = json.loads(paths[0].read_text(encoding="utf-8"))
    assert content["levels"][0]["ratio"]["value"] == 0.871
    assert content["levels"][0]["cpu_ratio"] == pytest.approx(0.003 / 0.00355)
    assert content["host"]["commit"] == "abc with changes"


def test_the_host_is_described_by_its_own_facts(tmp_path: Path) -> None:
    found = facts()
    assert found.processor
    assert found.cores >= 1
    assert {"python", "grpcio", "numpy"} <= set(found.versions)
    assert commit(tmp_path) == "unknown"
