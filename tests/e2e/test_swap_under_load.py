"""Versions change places in a real server process while callers keep calling: every call is answered, and rightly."""

from __future__ import annotations

import asyncio
import itertools
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from services.clients import (
    AsyncInferenceClient,
    AsyncModelClient,
    Classified,
    FailedPrecondition,
    ModelClient,
    VersionState,
)
from tests.fakes.server_process import ServerProcess, server_process
from tests.fakes.tiny_bundle import LABELS, publish_tiny

ROOT = Path(__file__).resolve().parents[2]
CALLERS = 8
MOVES = 10
TEXTS = {"the bank cut its rate": "business", "球队赢了比赛": "sports", "robot software": "technology"}


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    """Version v answers with the label that stands v - 1 places on, so that each answer says who gave it."""
    folder = tmp_path / "models"
    publish_tiny(folder)
    publish_tiny(folder, label=None, rotated=1)
    broken = publish_tiny(folder, label=None, rotated=2)
    (broken.path / "fp32.onnx").write_bytes(b"broken")
    return folder


@pytest.fixture
def server(registry: Path) -> Iterator[ServerProcess]:
    """A server that looks at the registry ten times a second, and ends well after the test."""
    with server_process(registry, "--registry-poll-s", "0.1") as process:
        yield process
        process.process.send_signal(signal.SIGTERM)
        assert process.ended() == 0


async def until(condition: Callable[[], bool], pause_s: float = 0.05) -> None:
    """Waits for what the server and the callers do."""
    for _ in range(int(60 / pause_s)):
        if condition():
            return
        await asyncio.sleep(pause_s)
    raise AssertionError("it did not come to that within a minute")


def state(target: str, version: int) -> VersionState:
    """Where a version stands."""
    with ModelClient(target) as models:
        return models.get_model("tiny").version(version).state


class Callers:
    """Call one after the other for as long as the block lasts; `allowed` are the versions that may answer now."""

    def __init__(self, target: str, allowed: set[int]) -> None:
        self.allowed = allowed
        self.answered: dict[int, int] = {}
        self._target = target
        self._running: dict[int, set[int]] = {}
        self._calls = itertools.count()
        self._ended = False

    async def __aenter__(self) -> Callers:
        self._tasks = [asyncio.create_task(self._call(number)) for number in range(CALLERS)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ended = True
        await asyncio.gather(*self._tasks)

    def allow(self, *versions: int) -> None:
        """Calls that run may be answered by these, too; calls that begin from now on only by these."""
        self.allowed = set(versions)
        for seen in self._running.values():
            seen.update(versions)

    async def more(self, count: int = 40) -> None:
        """Waits for so many more answers."""
        wanted = sum(self.answered.values()) + count
        await until(lambda: sum(self.answered.values()) >= wanted, 0.005)

    async def _call(self, number: int) -> None:
        async with AsyncInferenceClient(self._target) as client:
            while not self._ended:
                call = next(self._calls)
                texts = list(TEXTS)[: 1 + number % 3]
                allowed = self._running[call] = set(self.allowed)
                reply = await client.classify(texts, model="tiny")
                del self._running[call]
                assert reply.version in allowed
                for text, result in zip(texts, reply.results, strict=True):
                    assert isinstance(result, Classified)
                    place = (LABELS.index(TEXTS[text]) + reply.version - 1) % len(LABELS)
                    assert result.best.name == LABELS[place]
                self.answered[reply.version] = self.answered.get(reply.version, 0) + 1


def command(registry: Path, *words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "export", *words, "--registry", str(registry)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


async def test_labels_move_back_and_forth_and_every_call_is_answered_by_a_version_that_was_allowed(
    server: ServerProcess,
) -> None:
    target = server.address
    async with AsyncModelClient(target) as models, Callers(target, {1}) as callers:
        for move in range(MOVES):
            to = 2 - move % 2
            callers.allow(1, 2)
            await models.set_label("tiny", "stable", to)
            callers.allow(to)
            await callers.more()
            with pytest.raises(FailedPrecondition):
                await models.set_label("tiny", "stable", 3)
    assert all(count >= MOVES // 2 * 40 * 0.9 for count in callers.answered.values())
    assert callers.answered.keys() == {1, 2}


async def test_the_command_line_moves_a_label_under_load_also_to_a_version_that_cannot_be_loaded(
    server: ServerProcess, registry: Path
) -> None:
    target = server.address
    async with Callers(target, {1, 2}) as callers:
        await asyncio.to_thread(command, registry, "label", "tiny", "2", "stable")
        await until(lambda: state(target, 1) is VersionState.AVAILABLE)
        callers.allow(2)
        await asyncio.to_thread(command, registry, "label", "tiny", "3", "stable")
        await until(lambda: state(target, 3) is VersionState.FAILED)
        await callers.more()
        callers.allow(1, 2)
        await asyncio.to_thread(command, registry, "label", "tiny", "1", "stable")
        await until(lambda: state(target, 2) is VersionState.AVAILABLE)
        callers.allow(1)
        await callers.more()


async def test_swaps_leave_no_memory_behind(server: ServerProcess) -> None:
    target = server.address
    watched = psutil.Process(server.process.pid)
    sizes = []
    async with AsyncModelClient(target) as models, Callers(target, {1, 2}) as callers:
        for move in range(60):
            await models.set_label("tiny", "stable", 2 - move % 2)
            await callers.more(10)
            sizes.append(watched.memory_info().rss)
    assert max(sizes[-20:]) < 1.1 * max(sizes[10:30])
    assert watched.num_threads() < 64
