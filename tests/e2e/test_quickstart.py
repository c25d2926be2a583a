"""What `make run` shows at its end: a real server started, asked, and drained."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from export.registry import Registry
from tests.fakes.tiny_bundle import publish_tiny, publish_tiny_tagging

ROOT = Path(__file__).resolve().parents[2]
ROWS = [
    {"text": "The bank lifts its rate\nagain", "label": "business"},
    {"text": "The coach [bold]praised[/bold] her team", "label": "sports"},
    {"text": "Software for a new phone chip", "label": "business"},
    {"text": "银行股市收盘上涨，银行股领先", "label": "business"},
    {"text": "球队在比赛的最后一分钟进球", "label": "sports"},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with a registry and the run that its model came from."""
    publish_tiny(tmp_path / "models")
    data = tmp_path / "runs" / "tiny" / "data"
    data.mkdir(parents=True)
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS]
    (data / "test.jsonl").write_text("".join(lines), encoding="utf-8")
    return tmp_path


def free_ports() -> tuple[int, int]:
    with closing(socket.socket()) as one, closing(socket.socket()) as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def listens(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def quickstart(folder: Path, port: int, metrics_port: int, *more: str) -> subprocess.Popen[str]:
    """Starts it as a shell does: in a process group of its own."""
    ports = ["--port", str(port), "--metrics-port", str(metrics_port)]
    return subprocess.Popen(
        [sys.executable, "-m", "services.quickstart", "--run", "runs/tiny", *ports, *more],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        start_new_session=True,
    )


@pytest.fixture
def serving(folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A quickstart that has shown its table and serves on."""
    port, metrics_port = free_ports()
    process = quickstart(folder, port, metrics_port)
    assert process.stdout is not None
    shown = ""
    for line in process.stdout:
        shown += line
        if "Ctrl-C" in line:
            break
    assert process.poll() is None, shown
    yield process, port
    process.stdout.close()
    assert process.poll() is not None


def test_once_prints_the_answers_and_where_to_go_next(folder: Path) -> None:
    port, metrics_port = free_ports()
    process = quickstart(folder, port, metrics_port, "--once")
    output, _ = process.communicate(timeout=90)
    assert process.returncode == 0, output
    assert "tiny version 1, fp32: 4 of 5 held-out texts right" in output
    rows = {line.split("  ")[0]: line for line in output.splitlines()}
    assert "business" in rows["The bank lifts its rate again"]
    assert "✓" in rows["The bank lifts its rate again"]
    assert "sports" in rows["The coach [bold]praised[/bold] her team"]
    assert "✗ business" in rows["Software for a new phone chip"]
    assert "✓" in rows["球队在比赛的最后一分钟进球"]
    for hint in (
        f"127.0.0.1:{port} tiny",
        f"http://127.0.0.1:{metrics_port}/metrics",
        "buf curl",
        "tensorboard",
        "evaluation/report.html",
    ):
        assert hint in output
    assert output.rstrip().endswith("stopped; every call was answered")
    assert not listens(port)


def test_a_model_that_tags_shows_entities(folder: Path) -> None:
    publish_tiny_tagging(folder / "models", "tiny", label=None)
    (folder / "models" / "tiny" / "labels.json").unlink()
    Registry(str(folder / "models")).set_label("tiny", "stable", 2)
    rows = [
        {"text": "Ada Lovelace left Paris", "entities": [(0, 12, "PER"), (18, 23, "LOC")]},
        {"text": "王明在北京看球队比赛的时候", "entities": [(0, 2, "PER")]},
        {"text": "nobody was anywhere", "entities": []},
    ]
    lines = []
    for row in rows:
        entities = [{"start": start, "end": end, "label": label} for start, end, label in row["entities"]]
        labels = sorted({each["label"] for each in entities})
        lines.append(json.dumps({"text": row["text"], "label": "x", "labels": labels, "entities": entities}) + "\n")
    (folder / "runs" / "tiny" / "data" / "test.jsonl").write_text("".join(lines), encoding="utf-8")
    (folder / "runs" / "tiny" / "run.json").write_text('{"task": "token_classification"}', encoding="utf-8")
    process = quickstart(folder, *free_ports(), "--once")
    output, _ = process.communicate(timeout=90)
    assert process.returncode == 0, output
    assert "tiny version 2, fp32: 2 of 3 held-out texts with all entities right" in output
    shown = {line.split("  ")[0]: line for line in output.splitlines()}
    assert "PER Ada Lovelace, LOC Paris" in shown["Ada Lovelace left Paris"]
    assert "PER 王明, LOC 北京" in shown["王明在北京看球队比赛的时候"]
    assert "✗ PER 王明" in shown["王明在北京看球队比赛的时候"]
    assert "examples/python/tag.py" in output
    assert "InferenceService/Tag" in output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_whole_group_drains_the_server_once(
    serving: tuple[subprocess.Popen[str], int], folder: Path, number: signal.Signals
) -> None:
    process, port = serving
    assert listens(port)
    os.killpg(process.pid, number)
    assert process.wait(60) == 0
    assert process.stdout is not None
    assert "draining" in process.stdout.read()
    log = (folder / "build" / "inference.log").read_text(encoding="utf-8")
    assert log.count('"event": "draining"') == 1
    assert log.count('"event": "stopped"') == 1
    assert not listens(port)


def test_a_server_that_ends_by_itself_is_an_error_with_its_log(
    serving: tuple[subprocess.Popen[str], int], folder: Path
) -> None:
    process, _ = serving
    psutil.Process(process.pid).children()[0].kill()
    assert process.wait(60) == 2
    assert process.stdout is not None
    output = process.stdout.read()
    assert "the server ended by itself, with code -9" in output
    assert '"event": "serving"' in output


@pytest.mark.parametrize(("position", "name"), [(0, "PORT"), (1, "METRICS_PORT")])
def test_a_taken_port_is_named_and_nobody_else_is_asked(folder: Path, position: int, name: str) -> None:
    with closing(socket.socket()) as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        ports = list(free_ports())
        ports[position] = holder.getsockname()[1]
        process = quickstart(folder, ports[0], ports[1])
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert f"port {ports[position]} is taken" in output
    assert f"make ... {name}=" in output


def test_a_server_that_cannot_start_shows_its_last_words(folder: Path) -> None:
    tokenizer = folder / "models" / "tiny" / "1" / "tokenizer.json"
    tokenizer.write_bytes(tokenizer.read_bytes()[:-1])
    process = quickstart(folder, *free_ports())
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "the server ended with code 2" in output
    assert "the server cannot start" in output
    assert "tokenizer.json" in output


def test_a_run_without_test_rows_starts_no_server(folder: Path) -> None:
    (folder / "runs" / "tiny" / "data" / "test.jsonl").unlink()
    process = quickstart(folder, *free_ports())
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "is missing" in output
    assert not (folder / "build").exists()


def test_another_ctrl_c_while_it_drains_ends_it_at_once(
    serving: tuple[subprocess.Popen[str], int], folder: Path
) -> None:
    process, port = serving
    psutil.Process(process.pid).children()[0].suspend()  # a server that never finishes draining
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    while "draining" not in process.stdout.readline():
        pass
    time.sleep(0.2)  # by now it waits for its child
    process.send_signal(signal.SIGINT)
    assert process.wait(60) != 0
    assert not listens(port)
