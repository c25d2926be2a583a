"""Reserving a port for the processes of one server."""

from __future__ import annotations

import socket

import pytest

from services.platform.ports import ReservedPort
from services.platform.server import ServerNotStarted

HOST = "127.0.0.1"


def listening(port: int, shared: bool) -> socket.socket:
    """A listening socket, as gRPC makes them."""
    own = socket.socket()
    own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(shared))
    try:
        own.bind((HOST, port))
        own.listen()
    except OSError:
        own.close()
        raise
    return own


def test_members_may_listen_strangers_may_not_and_connections_reach_members_alone() -> None:
    reserved = ReservedPort(HOST, 0)
    with pytest.raises(OSError, match="in use"):
        listening(reserved.port, shared=False)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, reserved.port), 5)
    with listening(reserved.port, shared=True), listening(reserved.port, shared=True):
        with pytest.raises(OSError, match="in use"):
            listening(reserved.port, shared=False)
        socket.create_connection((HOST, reserved.port), 5).close()
    reserved.close()


def test_a_second_reservation_fails_with_and_without_members() -> None:
    reserved = ReservedPort(HOST, 0)
    complaint = f"cannot listen on {HOST}:{reserved.port}"
    with pytest.raises(ServerNotStarted, match=complaint):
        ReservedPort(HOST, reserved.port)
    with listening(reserved.port, shared=True), pytest.raises(ServerNotStarted, match=complaint):
        ReservedPort(HOST, reserved.port)
    reserved.close()


def test_a_port_in_use_is_not_reserved() -> None:
    with listening(0, shared=False) as taken, pytest.raises(ServerNotStarted):
        ReservedPort(HOST, taken.getsockname()[1])


def test_a_port_that_was_given_back_can_be_had_again() -> None:
    first = ReservedPort(HOST, 0)
    first.close()
    ReservedPort(HOST, first.port).close()


def test_a_host_that_is_none_is_refused() -> None:
    with pytest.raises(ServerNotStarted):
        ReservedPort("256.0.0.1", 0)
