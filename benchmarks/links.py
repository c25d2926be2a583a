"""Sockets under HTTP/2 connections, all watched by one selector: what every load generator here is built on."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from benchmarks.frames import request_headers
from benchmarks.http2 import Connection, ProtocolError, Reply

RECEIVE_BYTES = 1 << 18

Flight = TypeVar("Flight")
"""What a generator remembers of a call under way."""


@dataclass(slots=True, eq=False)
class Link(Generic[Flight]):
    """A connection, its socket and the calls in flight on it, by stream."""

    socket: socket.socket
    connection: Connection
    flying: dict[int, Flight] = field(default_factory=dict)
    blocked: bool = False
    broken: bool = False


class Links(Generic[Flight]):
    """`count` connections to one server. Used in a `with` statement."""

    def __init__(self, address: tuple[str, int], path: str, count: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._address = address
        self._headers = request_headers(f"{address[0]}:{address[1]}", path)
        self.all: list[Link[Flight]] = [self.open() for _ in range(count)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for link in self.all:
            link.socket.close()
        self._selector.close()

    def open(self) -> Link[Flight]:
        """One more connection."""
        connected = socket.create_connection(self._address, timeout=5)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setblocking(False)
        link: Link[Flight] = Link(connected, Connection(self._headers))
        self._selector.register(connected, selectors.EVENT_READ, link)
        return link

    def select(self, timeout: float) -> list[tuple[selectors.SelectorKey, int]]:
        """Waits until a socket can be read, or written where something is left to write; a key's data is its link."""
        return self._selector.select(timeout)

    def replies(self, link: Link[Flight]) -> list[Reply] | None:
        """Reads once; None when the connection is broken, for good."""
        try:
            chunk = link.socket.recv(RECEIVE_BYTES)
            if not chunk:
                raise ProtocolError("the server closed the connection")
            return link.connection.receive(chunk)
        except BlockingIOError:
            return []
        except (ProtocolError, OSError):
            link.broken = True
            self._selector.unregister(link.socket)
            return None

    def send(self, link: Link[Flight]) -> None:
        """Writes what the socket takes; the rest when it is writable."""
        outgoing = link.connection.outgoing
        try:
            sent = link.socket.send(outgoing)
        except (BlockingIOError, ConnectionError):  # a broken one is noticed by the next read
            sent = 0
        del outgoing[:sent]
        if bool(outgoing) != link.blocked and not link.broken:
            link.blocked = not link.blocked
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if link.blocked else 0)
            self._selector.modify(link.socket, events, link)

    def renew(self, link: Link[Flight]) -> Link[Flight]:
        """Puts a new connection in the place of a broken one."""
        link.socket.close()
        fresh = self.open()
        self.all[self.all.index(link)] = fresh
        return fresh


def flights(links: Links[Any]) -> Iterator[Any]:
    """What is under way, on all connections."""
    for link in links.all:
        yield from link.flying.values()
