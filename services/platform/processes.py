"""Processes of one server: started together, started again when one ends, stopped together.

A member gets one line on its standard input and then holds the pipe open: its end tells the member that the parent is gone.
It answers with one line on its standard output once it serves. Logs go where the parent's go.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
STEADY_S = 60.0
"""After a process that ran for so long pauses are short again; until then each is twice the one before."""

log = structlog.get_logger()


class NotStarted(Exception):
    """A process ended before it ever served. `code` is its exit status; it has said why on stderr."""

    def __init__(self, code: int) -> None:
        super().__init__(f"a process ended with code {code} before it served")
        self.code = code


@dataclass(frozen=True, slots=True)
class Program:
    """What a member runs, and the line that it is given."""

    command: Sequence[str]
    environment: Mapping[str, str]
    line: bytes


class Member:
    """One process after the other. `ended` hears the pid of each that is over."""

    def __init__(self, number: int, program: Program, ended: Callable[[int], None]) -> None:
        self.number = number
        self.restarts = 0
        self.serving = False
        self.first: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._program = program
        self._ended = ended
        self._stopping = asyncio.Event()
        self._process: Process | None = None

    async def run(self) -> None:
        """Until `stop`. Raises NotStarted when the first process never served."""
        clock = asyncio.get_running_loop().time
        pause = FIRST_PAUSE_S
        while not self._stopping.is_set():
            begun = clock()
            code = await self._once()
            if self._stopping.is_set():
                return
            if not self.first.done():
                raise NotStarted(code)
            pause = FIRST_PAUSE_S if clock() - begun >= STEADY_S else pause
            log.error("process ended", number=self.number, code=code, restart_in_s=pause)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)
            self.restarts += 1

    async def _once(self) -> int:
        """Runs one process to its end; returns its exit status, negative for a signal."""
        # a session of its own: Ctrl-C in a terminal reaches the parent alone, which passes on exactly one signal
        process = await asyncio.create_subprocess_exec(
            *self._program.command,
            env=dict(self._program.environment),
            stdin=PIPE,
            stdout=PIPE,
            start_new_session=True,
        )
        self._process = process
        if self._stopping.is_set():
            self.signal(signal.SIGTERM)
        assert process.stdin is not None and process.stdout is not None
        with contextlib.suppress(ConnectionError):
            process.stdin.write(self._program.line)
            await process.stdin.drain()
        if line := await process.stdout.readline():
            self.serving = True
            if not self.first.done():
                self.first.set_result(json.loads(line))
        code = await process.wait()
        self.serving = False
        self._ended(process.pid)
        return code

    def stop(self) -> None:
        """Asks the process to drain; it is not started again."""
        self._stopping.set()
        self.signal(signal.SIGTERM)

    def signal(self, number: signal.Signals) -> None:
        """Signals the process, if there is one."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)


class Processes:
    """The members of a server."""

    def __init__(self, programs: Sequence[Program], ended: Callable[[int], None]) -> None:
        self.members = [Member(number, program, ended) for number, program in enumerate(programs)]
        self._running: list[asyncio.Task[None]] = []

    @property
    def serving(self) -> int:
        """How many serve now."""
        return sum(member.serving for member in self.members)

    @property
    def restarts(self) -> int:
        """How often one was started again."""
        return sum(member.restarts for member in self.members)

    async def start(self) -> list[dict[str, Any]]:
        """Starts all and waits until each serves; returns what they answered. Raises NotStarted, with none left."""
        self._running = [asyncio.create_task(member.run()) for member in self.members]
        answers: asyncio.Future[list[dict[str, Any]]] = asyncio.gather(*(member.first for member in self.members))
        waited: list[asyncio.Future[Any]] = [answers, *self._running]
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if not answers.done():
            answers.cancel()
            failed = next(task for task in self._running if task.done())
            await self.stop(0.0)
            await failed
        return await answers

    async def stop(self, timeout_s: float) -> None:
        """Lets all of them drain; who is not done after the timeout is killed."""
        for member in self.members:
            member.stop()
        _, late = await asyncio.wait(self._running, timeout=timeout_s)
        if late:
            self.kill()
            await asyncio.wait(late)

    def kill(self) -> None:
        """Ends all at once."""
        for member in self.members:
            member.signal(signal.SIGKILL)
