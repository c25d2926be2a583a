"""An open-loop load generator: calls arrive at a fixed mean rate, whether or not the server keeps up.

Arrivals are a Poisson process that is drawn beforehand, so to speak: when a call is due depends on no answer. Latencies
count from the moment a call was due, not from when it was sent, so a generator or a server that is late cannot hide it
(no coordinated omission); how late the generator itself was is part of every outcome.
"""

from __future__ import annotations

import heapq
import random
import selectors
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from benchmarks.frames import CANCELLED, DEADLINE_EXCEEDED, UNAVAILABLE, timeout_header
from benchmarks.generator import Mark
from benchmarks.host import busy_seconds
from benchmarks.links import Link, Links, flights

UNANSWERED = -1
"""Status of a call that ended in nothing."""
EARLY_S = 0.01
"""So long before a deadline gRPC's timers may go off."""
CONNECTIONS = 16


class Shot(NamedTuple):
    """A call to make. Seconds count from when it is due."""

    item: Any
    """Comes back with the outcome."""
    message: bytes
    deadline_s: float
    cancel_s: float | None = None
    """When the caller gives it up; None: never."""
    headers: bytes | None = None
    """The header block of another method than the generator's own."""


class Outcome(NamedTuple):
    """A call that ended. Times are `time.perf_counter` seconds; `status` is a gRPC code, 0 for success, or UNANSWERED."""

    shot: Shot
    due: float
    sent: float
    ended: float
    status: int
    message: bytes
    trailers: bytes

    @property
    def seconds(self) -> float:
        """Latency, as the caller feels it who wanted to call when it was due."""
        return self.ended - self.due

    @property
    def good(self) -> bool:
        """Whether it was answered within its deadline."""
        return self.status == 0 and self.seconds <= self.shot.deadline_s


class _Flight(NamedTuple):
    shot: Shot
    due: float
    sent: float


class OpenLoop:
    """Makes calls to one server. Used in a `with` statement.

    `server_cpu` reads the server's CPU seconds; it is called at both ends of the measured window.
    """

    def __init__(
        self,
        address: tuple[str, int],
        path: str,
        heard: Callable[[Outcome], None],
        server_cpu: Callable[[], float] = lambda: 0.0,
        connections: int = CONNECTIONS,
        seed: int = 20_240_601,
    ) -> None:
        self._heard = heard
        self._server_cpu = server_cpu
        self._random = random.Random(seed)
        self._links: Links[_Flight] = Links(address, path, connections)
        self._turn = 0
        self._cancels: list[tuple[float, int, Link[_Flight], int]] = []

    def __enter__(self) -> OpenLoop:
        return self

    def __exit__(self, *_: object) -> None:
        self._links.__exit__(None, None, None)

    def run(
        self, shots: Iterator[Shot], rate: float, seconds: float, ramp: float = 0.0, patience: float = 30.0
    ) -> tuple[Mark, Mark]:
        """Makes `rate` calls a second on average for `ramp` + `seconds`, then waits for the last answers.

        Every call is heard of exactly once; one without an answer `patience` seconds after its deadline as UNANSWERED.
        Returns the clocks at both ends of the window that begins after the ramp. OSError when the server is gone.
        """
        start = time.perf_counter()
        due = self._load(shots, rate, start, start + ramp)
        begin = self._mark()
        due = self._load(shots, rate, due, begin.at + seconds)
        end = self._mark()
        self._drain(patience)
        return begin, end

    def _mark(self) -> Mark:
        return Mark(time.perf_counter(), time.thread_time(), self._server_cpu(), busy_seconds())

    def _load(self, shots: Iterator[Shot], rate: float, due: float, until: float) -> float:
        """Makes what is due until then; returns when the next call is due."""
        while due < until:
            now = time.perf_counter()
            while due <= now and due < until:
                self._start(next(shots), due, now)
                due += self._random.expovariate(rate)
            self._step(min(due, until))
        self._wait(until)
        return due

    def _wait(self, until: float) -> None:
        while time.perf_counter() < until:
            self._step(until)

    def _drain(self, patience: float) -> None:
        while flying := list(flights(self._links)):
            last = max(flight.due + flight.shot.deadline_s for flight in flying) + patience
            now = time.perf_counter()
            if now >= last:
                break
            self._step(min(last, now + 1.0))
        for link in self._links.all:
            for flight in link.flying.values():
                self._end(flight, UNANSWERED)
            link.flying.clear()
        self._cancels.clear()

    def _start(self, shot: Shot, due: float, now: float) -> None:
        links = self._links.all
        self._turn = (self._turn + 1) % len(links)
        link = links[self._turn]
        if link.broken:
            link = self._links.renew(link)
        # the server must not be told of time that has passed already
        deadline = timeout_header(due + shot.deadline_s - now)
        stream = link.connection.start(shot.message, deadline, shot.headers)
        link.flying[stream] = _Flight(shot, due, now)
        if shot.cancel_s is not None:
            heapq.heappush(self._cancels, (due + shot.cancel_s, id(link), link, stream))
        self._links.send(link)

    def _step(self, until: float) -> None:
        """Hears what there is to hear, for at most so long."""
        now = time.perf_counter()
        if self._cancels:
            until = min(until, self._cancels[0][0])
        for key, mask in self._links.select(max(0.0, until - now)):
            self._serve(key.data, mask)
        now = time.perf_counter()
        while self._cancels and self._cancels[0][0] <= now:
            self._cancel(*heapq.heappop(self._cancels)[2:])

    def _serve(self, link: Link[_Flight], mask: int) -> None:
        if mask & selectors.EVENT_READ:
            replies = self._links.replies(link)
            if replies is None:
                for lost in link.flying.values():
                    self._end(lost, UNAVAILABLE)
                link.flying.clear()
                return
            for stream, status, message, trailers in replies:
                flight = link.flying.pop(stream, None)
                if flight is not None:
                    # a server resets calls whose deadline has passed, without a word; the caller knows why
                    late = status == CANCELLED and time.perf_counter() >= flight.due + flight.shot.deadline_s - EARLY_S
                    self._end(flight, DEADLINE_EXCEEDED if late else status, message, trailers)
        if link.connection.outgoing:
            self._links.send(link)

    def _cancel(self, link: Link[_Flight], stream: int) -> None:
        flight = link.flying.pop(stream, None)
        if flight is not None:
            link.connection.cancel(stream)
            self._links.send(link)
            self._end(flight, CANCELLED)

    def _end(self, flight: _Flight, status: int, message: bytes = b"", trailers: bytes = b"") -> None:
        self._heard(Outcome(*flight, time.perf_counter(), status, message, trailers))
