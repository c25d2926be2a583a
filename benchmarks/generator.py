"""A lean closed-loop load generator: one thread, one selector, many callers over a few connections.

Server and generator share the machine's cores, so whatever the generator burns is missing in the server's throughput.
This one costs a fraction of a gRPC client (docs/decisions/0005-load-generator.md) and reports its own CPU time beside
the result.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import NamedTuple, Self

from benchmarks.frames import UNAVAILABLE, request_headers
from benchmarks.host import busy_seconds
from benchmarks.http2 import Connection, ProtocolError

CALLERS_PER_CONNECTION = 16
STALL_SECONDS = 30.0
RECEIVE_BYTES = 1 << 18


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


@dataclass(slots=True)
class _Link:
    """A connection, its socket and the calls in flight on it: stream -> (item, began)."""

    socket: socket.socket
    connection: Connection
    callers: int
    flying: dict[int, tuple[int, float]] = field(default_factory=dict)
    blocked: bool = False


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
        self._selector = selectors.DefaultSelector()
        self._links: list[_Link] = []
        connections = -(-callers // CALLERS_PER_CONNECTION)
        headers = request_headers(f"{address[0]}:{address[1]}", path)
        for number in range(connections):
            connected = socket.create_connection(address, timeout=5)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected.setblocking(False)
            link = _Link(connected, Connection(headers), callers // connections + (number < callers % connections))
            self._links.append(link)
            self._selector.register(connected, selectors.EVENT_READ, link)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for link in self._links:
            link.socket.close()
        self._selector.close()

    def run(self, requests: Iterator[tuple[int, bytes]], seconds: float, ramp: float = 0.0) -> Window:
        """Loads the server for `ramp` + `seconds`, of which the ramp is not reported, then waits for the last replies.

        `requests` yields (item, serialized request) without end; the item comes back in the `Call`. A connection that
        breaks ends its calls with UNAVAILABLE and makes no new ones. ProtocolError when the server falls silent.
        """
        self._requests = requests
        start = time.perf_counter()
        for link in self._links:
            for _ in range(link.callers - len(link.flying)):
                self._start(link, start)
            self._send(link)
        self._drive(start + ramp)
        begin = self._mark()
        calls = self._drive(begin.at + seconds)
        end = self._mark()
        self._drive(None)
        return Window(calls, begin, end)

    def call(self, message: bytes) -> Call:
        """One call alone."""
        link = self._links[0]
        self._requests = iter([(0, message)])
        self._start(link, time.perf_counter())
        self._send(link)
        return self._drive(None)[0]

    def _mark(self) -> Mark:
        return Mark(time.perf_counter(), time.thread_time(), self._server_cpu(), busy_seconds())

    def _drive(self, until: float | None) -> list[Call]:
        """Answers replies with new calls until that time; None: starts no more and returns when none is under way."""
        calls: list[Call] = []
        now = heard = time.perf_counter()
        while (now < until) if until is not None else any(link.flying for link in self._links):
            events = self._selector.select(1.0 if until is None else until - now)
            now = time.perf_counter()
            for key, mask in events:
                self._serve(key.data, mask, now, calls, until is not None)
            if events:
                heard = now
            elif now - heard > STALL_SECONDS:
                raise ProtocolError(f"no reply for {STALL_SECONDS:.0f} s")
        return calls

    def _serve(self, link: _Link, mask: int, now: float, calls: list[Call], again: bool) -> None:
        if mask & selectors.EVENT_READ:
            try:
                chunk = link.socket.recv(RECEIVE_BYTES)
                if not chunk:
                    raise ProtocolError("the server closed the connection")
                replies = link.connection.receive(chunk)
            except (ProtocolError, OSError):
                self._abandon(link, now, calls)
                return
            for stream, status, message in replies:
                item, began = link.flying.pop(stream)
                calls.append(Call(item, began, now, status, message))
                if again:
                    self._start(link, now)
        if link.connection.outgoing:
            self._send(link)

    def _start(self, link: _Link, now: float) -> None:
        item, message = next(self._requests)
        link.flying[link.connection.start(message)] = item, now

    def _send(self, link: _Link) -> None:
        outgoing = link.connection.outgoing
        try:
            sent = link.socket.send(outgoing)
        except BlockingIOError:
            sent = 0
        del outgoing[:sent]
        if bool(outgoing) != link.blocked:
            link.blocked = not link.blocked
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if link.blocked else 0)
            self._selector.modify(link.socket, events, link)

    def _abandon(self, link: _Link, now: float, calls: list[Call]) -> None:
        calls.extend(Call(item, began, now, UNAVAILABLE, b"") for item, began in link.flying.values())
        link.flying.clear()
        link.callers = 0
        self._selector.unregister(link.socket)
