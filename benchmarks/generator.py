"""A lean closed-loop load generator: one thread, one selector, many callers over a few connections.

Server and generator share the machine's cores, so whatever the generator burns is missing in the server's throughput.
This one costs a fraction of a gRPC client (docs/decisions/0005-load-generator.md) and reports its own CPU time beside
the result.
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple, Self

from benchmarks.frames import UNAVAILABLE
from benchmarks.host import busy_seconds
from benchmarks.http2 import ProtocolError
from benchmarks.links import Link, Links

CALLERS_PER_CONNECTION = 16
STALL_SECONDS = 30.0


class Call(NamedTuple):
    """One finished call. Times are `time.perf_counter` seconds; `status` is a gRPC code, 0 for success."""

    item: int
    began: float
    ended: float
    status: int
    message: bytes


@dataclass(frozen=True, slots=True)
class Mark:
    """Clocks at one moment, in seconds."""

    at: float
    generator_cpu: float
    server_cpu: float
    machine_cpu: float


@dataclass(slots=True)
class Window:
    """What happened between two marks: the calls that ended there, in order of their ends."""

    calls: list[Call]
    begin: Mark
    end: Mark

    @property
    def seconds(self) -> float:
        """Wall-clock length."""
        return self.end.at - self.begin.at

    @property
    def neighbours(self) -> float:
        """Cores that processes other than server and generator used meanwhile."""
        before, after = self.begin, self.end
        own = after.generator_cpu - before.generator_cpu + after.server_cpu - before.server_cpu
        return max(0.0, after.machine_cpu - before.machine_cpu - own) / self.seconds

    @property
    def completed(self) -> list[Call]:
        """The calls that succeeded."""
        return [call for call in self.calls if call.status == 0]


_Flight = tuple[int, float]
"""Item and beginning of a call under way."""


class Generator:
    """`callers` callers, each with one unary call under way at a time, as long as a window lasts. Used in a `with` statement.

    `server_cpu` reads the server's CPU seconds; it is called at both ends of a window.
    """

    def __init__(
        self,
        address: tuple[str, int],
        path: str,
        callers: int,
        server_cpu: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._requests: Iterator[tuple[int, bytes]] = iter(())
        self._server_cpu = server_cpu
        count = -(-callers // CALLERS_PER_CONNECTION)
        self._links: Links[_Flight] = Links(address, path, count)
        self._callers = {
            link: callers // count + (number < callers % count) for number, link in enumerate(self._links.all)
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._links.__exit__(kind, error, trace)

    def run(self, requests: Iterator[tuple[int, bytes]], seconds: float, ramp: float = 0.0) -> Window:
        """Loads the server for `ramp` + `seconds`, of which the ramp is not reported, then waits for the last replies.

        `requests` yields (item, serialized request) without end; the item comes back in the `Call`. A connection that
        breaks ends its calls with UNAVAILABLE and makes no new ones. ProtocolError when the server falls silent.
        """
        self._requests = requests
        start = time.perf_counter()
        for link, callers in self._callers.items():
            for _ in range(callers - len(link.flying)):
                self._start(link, start)
            self._links.send(link)
        self._drive(start + ramp)
        begin = self._mark()
        calls = self._drive(begin.at + seconds)
        end = self._mark()
        self._drive(None)
        return Window(calls, begin, end)

    def run_all(self, requests: Iterator[tuple[int, bytes]]) -> list[Call]:
        """Makes the calls until `requests` ends, each caller one at a time; returns all of them, in order of their ends."""
        self._requests = requests
        start = time.perf_counter()
        for link, callers in self._callers.items():
            for _ in range(callers):
                self._start(link, start)
            self._links.send(link)
        return self._drive(None, again=True)

    def call(self, message: bytes) -> Call:
        """One call alone."""
        link = self._links.all[0]
        self._requests = iter([(0, message)])
        self._start(link, time.perf_counter())
        self._links.send(link)
        return self._drive(None)[0]

    def _mark(self) -> Mark:
        return Mark(time.perf_counter(), time.thread_time(), self._server_cpu(), busy_seconds())

    def _drive(self, until: float | None, again: bool = False) -> list[Call]:
        """Answers replies with new calls until that time; None: returns when none is under way, and makes no new ones
        unless `again`."""
        calls: list[Call] = []
        now = heard = time.perf_counter()
        while (now < until) if until is not None else any(link.flying for link in self._links.all):
            events = self._links.select(1.0 if until is None else until - now)
            now = time.perf_counter()
            for key, mask in events:
                self._serve(key.data, mask, now, calls, again or until is not None)
            if events:
                heard = now
            elif now - heard > STALL_SECONDS:
                raise ProtocolError(f"no reply for {STALL_SECONDS:.0f} s")
        return calls

    def _serve(self, link: Link[_Flight], mask: int, now: float, calls: list[Call], again: bool) -> None:
        if mask & selectors.EVENT_READ:
            replies = self._links.replies(link)
            if replies is None:
                calls.extend(Call(item, began, now, UNAVAILABLE, b"") for item, began in link.flying.values())
                link.flying.clear()
                self._callers[link] = 0
                return
            for stream, status, message, _ in replies:
                item, began = link.flying.pop(stream)
                calls.append(Call(item, began, now, status, message))
                if again:
                    self._start(link, now)
        if link.connection.outgoing:
            self._links.send(link)

    def _start(self, link: Link[_Flight], now: float) -> None:
        following = next(self._requests, None)
        if following is not None:
            item, message = following
            link.flying[link.connection.start(message)] = item, now
