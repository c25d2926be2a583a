from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.frames import (
    ACK,
    CANCELLED,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    INTERNAL,
    MAX_CONCURRENT_STREAMS,
    MAX_FRAME_SIZE,
    PADDED,
    PING,
    PREFACE,
    RESOURCE_EXHAUSTED,
    RST_STREAM,
    SETTINGS,
    UNAVAILABLE,
    UNKNOWN,
    WINDOW_UPDATE,
    frame,
    literal,
    request_headers,
    settings,
    timeout_header,
    window_update,
)
from benchmarks.http2 import RECEIVE_WINDOW, Connection, ProtocolError, Reply

HEADER_BLOCK = request_headers("127.0.0.1:1", "/a.B/C")
RESPONSE_HEADERS = b"\x88\x5f" + literal(b"application/grpc")


def trailers(status: int) -> bytes:
    return b"\x00" + literal(b"grpc-status") + literal(str(status).encode())


def message(body: bytes) -> bytes:
    return b"\0" + struct.pack(">I", len(body)) + body


def reply(stream: int, body: bytes, status: int = 0) -> bytes:
    return (
        frame(HEADERS, END_HEADERS, stream, RESPONSE_HEADERS)
        + frame(DATA, 0, stream, message(body))
        + frame(HEADERS, END_HEADERS | END_STREAM, stream, trailers(status))
    )


def frames(data: bytes) -> list[tuple[int, int, int, bytes]]:
    """(type, flags, stream, payload) of every frame."""
    found = []
    while data:
        size = int.from_bytes(data[:3], "big")
        found.append((data[3], data[4], int.from_bytes(data[5:9], "big"), data[9 : 9 + size]))
        data = data[9 + size :]
    return found


def sent(connection: Connection) -> list[tuple[int, int, int, bytes]]:
    """Empties the outgoing bytes into frames."""
    data = bytes(connection.outgoing)
    connection.outgoing.clear()
    return frames(data)


@pytest.fixture
def connection() -> Connection:
    """A connection whose greeting is out."""
    made = Connection(HEADER_BLOCK)
    made.outgoing.clear()
    return made


def test_it_greets_with_the_preface_and_an_empty_header_table() -> None:
    greeting = bytes(Connection(HEADER_BLOCK).outgoing)
    assert greeting.startswith(PREFACE)
    first, second = frames(greeting[len(PREFACE) :])
    assert first[0] == SETTINGS
    assert dict(struct.iter_unpack(">HI", first[3])) == {1: 0, 2: 0, 4: RECEIVE_WINDOW, 0xFE03: 1}
    assert second == (WINDOW_UPDATE, 0, 0, struct.pack(">I", RECEIVE_WINDOW - 65_535))


def test_calls_take_odd_streams_and_end_their_side(connection: Connection) -> None:
    assert [connection.start(b"one"), connection.start(b"two")] == [1, 3]
    assert sent(connection) == [
        (HEADERS, END_HEADERS, 1, HEADER_BLOCK),
        (DATA, END_STREAM, 1, message(b"one")),
        (HEADERS, END_HEADERS, 3, HEADER_BLOCK),
        (DATA, END_STREAM, 3, message(b"two")),
    ]


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5), st.integers(1, 64))
def test_replies_are_the_same_however_the_bytes_are_cut(bodies: list[bytes], size: int) -> None:
    connection = Connection(HEADER_BLOCK)
    streams = [connection.start(b"") for _ in bodies]
    data = b"".join(reply(stream, body) for stream, body in zip(streams, bodies, strict=True))
    replies = [each for at in range(0, len(data), size) for each in connection.receive(data[at : at + size])]
    assert replies == [Reply(stream, 0, body) for stream, body in zip(streams, bodies, strict=True)]


def test_interleaved_replies_find_their_calls(connection: Connection) -> None:
    first, second = connection.start(b""), connection.start(b"")
    one, two = message(b"o" * 100), message(b"t" * 100)
    data = (
        frame(HEADERS, END_HEADERS, second, RESPONSE_HEADERS)
        + frame(HEADERS, END_HEADERS, first, RESPONSE_HEADERS)
        + frame(DATA, 0, first, one[:50])
        + frame(DATA, 0, second, two[:7])
        + frame(DATA, 0, first, one[50:])
        + frame(HEADERS, END_HEADERS | END_STREAM, first, trailers(0))
        + frame(DATA, 0, second, two[7:])
        + frame(HEADERS, END_HEADERS | END_STREAM, second, trailers(0))
    )
    assert connection.receive(data) == [Reply(first, 0, b"o" * 100), Reply(second, 0, b"t" * 100)]


def test_an_error_without_a_message_carries_its_status(connection: Connection) -> None:
    stream = connection.start(b"")
    block = RESPONSE_HEADERS + trailers(8)
    assert connection.receive(frame(HEADERS, END_HEADERS | END_STREAM, stream, block)) == [Reply(stream, 8, b"", block)]


def test_trailers_may_go_on_in_a_continuation(connection: Connection) -> None:
    stream = connection.start(b"")
    block = trailers(5)
    data = frame(HEADERS, END_STREAM, stream, block[:4]) + frame(CONTINUATION, END_HEADERS, stream, block[4:])
    assert connection.receive(data) == [Reply(stream, 5, b"", block)]


def test_padding_is_no_part_of_a_message(connection: Connection) -> None:
    stream = connection.start(b"")
    padded = b"\x03" + message(b"body") + b"\0\0\0"
    data = (
        frame(HEADERS, END_HEADERS, stream, RESPONSE_HEADERS)
        + frame(DATA, PADDED, stream, padded)
        + frame(HEADERS, END_HEADERS | END_STREAM, stream, trailers(0))
    )
    assert connection.receive(data) == [Reply(stream, 0, b"body")]


def test_success_without_exactly_one_message_is_an_error(connection: Connection) -> None:
    empty, double = connection.start(b""), connection.start(b"")
    end = frame(HEADERS, END_HEADERS | END_STREAM, empty, trailers(0))
    assert connection.receive(end) == [Reply(empty, INTERNAL, b"")]
    two = frame(DATA, 0, double, message(b"a") + message(b"b"))
    end = frame(HEADERS, END_HEADERS | END_STREAM, double, trailers(0))
    assert connection.receive(two + end) == [Reply(double, INTERNAL, b"")]


def test_a_reply_that_ends_without_a_status_is_unknown(connection: Connection) -> None:
    stream = connection.start(b"")
    assert connection.receive(frame(DATA, END_STREAM, stream, message(b""))) == [Reply(stream, UNKNOWN, b"")]


def test_a_reset_fails_its_call_alone(connection: Connection) -> None:
    first, second = connection.start(b""), connection.start(b"")
    assert connection.receive(frame(RST_STREAM, 0, first, b"\0\0\0\2")) == [Reply(first, INTERNAL, b"")]
    assert connection.receive(frame(RST_STREAM, 0, first, b"\0\0\0\2")) == []
    assert connection.receive(reply(second, b"x")) == [Reply(second, 0, b"x")]


@pytest.mark.parametrize(
    ("code", "status"), [(7, UNAVAILABLE), (8, CANCELLED), (11, RESOURCE_EXHAUSTED), (1, INTERNAL)]
)
def test_a_reset_says_why(connection: Connection, code: int, status: int) -> None:
    stream = connection.start(b"")
    assert connection.receive(frame(RST_STREAM, 0, stream, struct.pack(">I", code))) == [Reply(stream, status, b"")]


def test_a_call_can_bring_headers_of_its_own_and_another_method(connection: Connection) -> None:
    timeout = timeout_header(0.5)
    connection.start(b"one", timeout)
    connection.start(b"two", timeout, b"other")
    headers = [payload for kind, _, _, payload in sent(connection) if kind == HEADERS]
    assert headers == [HEADER_BLOCK + timeout, b"other" + timeout]


def test_a_cancelled_call_is_reset_and_not_heard_of_again(connection: Connection) -> None:
    gone, stays = connection.start(b"x" * 70_000), connection.start(b"y")
    sent(connection)
    connection.cancel(gone)
    connection.cancel(gone)
    assert sent(connection) == [(RST_STREAM, 0, gone, struct.pack(">I", 8))]
    assert connection.receive(reply(gone, b"late") + reply(stays, b"z")) == [Reply(stays, 0, b"z")]


def test_the_end_of_the_connection_is_said_with_its_reason(connection: Connection) -> None:
    with pytest.raises(ProtocolError, match=r"after stream 7.*max_age"):
        connection.receive(frame(GOAWAY, 0, 0, struct.pack(">II", 7, 0) + b"max_age"))


def test_pings_and_settings_are_acknowledged_but_not_their_acknowledgements(connection: Connection) -> None:
    connection.receive(frame(PING, 0, 0, b"12345678") + settings({MAX_CONCURRENT_STREAMS: 100}))
    assert sent(connection) == [(PING, ACK, 0, b"12345678"), (SETTINGS, ACK, 0, b"")]
    assert connection.max_concurrent_streams == 100
    connection.receive(frame(PING, ACK, 0, b"12345678") + frame(SETTINGS, ACK, 0))
    assert sent(connection) == []


def test_frames_of_unknown_types_are_ignored(connection: Connection) -> None:
    stream = connection.start(b"")
    assert connection.receive(frame(0xF0, 0xFF, stream, b"?") + reply(stream, b"x")) == [Reply(stream, 0, b"x")]


def test_a_large_request_waits_for_both_windows_and_respects_the_frame_size(connection: Connection) -> None:
    body = bytes(range(256)) * 400
    stream = connection.start(body)
    parts = [payload for kind, _, _, payload in sent(connection) if kind == DATA]
    assert sum(map(len, parts)) == 65_535
    assert max(map(len, parts)) == 16_384
    connection.receive(window_update(stream, 1 << 20))
    assert sent(connection) == []
    connection.receive(window_update(0, 10_000))
    (only,) = sent(connection)
    assert (only[1], len(only[3])) == (0, 10_000)
    connection.receive(window_update(0, 1 << 20))
    rest = sent(connection)
    assert [flags for _, flags, _, _ in rest] == [0] * (len(rest) - 1) + [END_STREAM]
    parts += [only[3], *(payload for _, _, _, payload in rest)]
    assert b"".join(parts) == message(body)


def test_small_requests_behind_a_blocked_one_are_sent_when_the_connection_opens(connection: Connection) -> None:
    connection.start(b"x" * 70_000)
    behind = connection.start(b"small")
    sent(connection)
    connection.receive(window_update(0, 100))
    assert sent(connection)[-1] == (DATA, END_STREAM, behind, message(b"small"))


def test_a_new_initial_window_admits_what_waits_and_larger_frames(connection: Connection) -> None:
    connection.receive(settings({INITIAL_WINDOW_SIZE: 10}))
    connection.start(b"x" * 20_000)
    assert [len(payload) for kind, _, _, payload in sent(connection) if kind == DATA] == [10]
    connection.receive(settings({INITIAL_WINDOW_SIZE: 30_000, MAX_FRAME_SIZE: 30_000}))
    assert [(flags, len(payload)) for kind, flags, _, payload in sent(connection) if kind == DATA] == [
        (END_STREAM, 19_995)
    ]


def test_windows_are_granted_again_at_both_levels(connection: Connection) -> None:
    stream = connection.start(b"")
    sent(connection)
    half = RECEIVE_WINDOW // 2
    chunk = b"\0" * 16_384
    for _ in range(half // len(chunk)):
        connection.receive(frame(DATA, 0, stream, chunk))
    granted = {number: struct.unpack(">I", payload)[0] for _, _, number, payload in sent(connection)}
    assert granted == {0: half, stream: half}


def test_data_of_a_forgotten_call_still_counts_for_the_connection(connection: Connection) -> None:
    for _ in range(RECEIVE_WINDOW // 2 // 16_384):
        connection.receive(frame(DATA, 0, 99, b"\0" * 16_384))
    assert sent(connection) == [(WINDOW_UPDATE, 0, 0, struct.pack(">I", RECEIVE_WINDOW // 2))]
