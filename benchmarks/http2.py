"""The client half of HTTP/2 that unary gRPC calls need, without sockets: bytes in, replies out.

RFC 9113 (frames, flow control), RFC 7541 (header compression) and gRPC's own "gRPC over HTTP/2". Left out on purpose: TLS, server push,
dynamic header tables (ours is set to size 0, so that a server's headers come as literals), Huffman-coded status names.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import NamedTuple

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0x0, 0x1, 0x3, 0x4, 0x6, 0x7, 0x8, 0x9
END_STREAM = ACK = 0x1
END_HEADERS, PADDED, PRIORITY = 0x4, 0x8, 0x20

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 0x1, 0x2, 0x3, 0x4, 0x5

DEFAULT_WINDOW = 65_535
DEFAULT_FRAME_SIZE = 16_384
RECEIVE_WINDOW = 1 << 20
"""Bytes a server may send before we grant more; granted again when half of it is used."""

STATUS_NAME = b"grpc-status"
OK, UNKNOWN, INTERNAL, UNAVAILABLE = 0, 2, 13, 14


class ProtocolError(Exception):
    """The peer does not speak HTTP/2 as RFC 9113 says, or ended the connection."""


class Reply(NamedTuple):
    """How one call ended. `status` is a gRPC status code; `message` is the serialized reply, empty on errors."""

    stream: int
    status: int
    message: bytes


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame: 24-bit length, type, flags, stream, payload."""
    return struct.pack(">IBI", len(payload) << 8 | kind, flags, stream) + payload


def settings(values: dict[int, int]) -> bytes:
    """A SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", name, value) for name, value in values.items()))


def window_update(stream: int, increment: int) -> bytes:
    """A WINDOW_UPDATE frame; stream 0 is the connection."""
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", increment))


def integer(value: int, prefix_bits: int, pattern: int) -> bytes:
    """An HPACK integer (RFC 7541, 5.1) whose first byte also carries `pattern`."""
    limit = (1 << prefix_bits) - 1
    if value < limit:
        return bytes([pattern | value])
    encoded = bytearray([pattern | limit])
    value -= limit
    while value >= 128:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def literal(value: bytes) -> bytes:
    """An HPACK string without Huffman coding."""
    return integer(len(value), 7, 0) + value


def request_headers(authority: str, path: str, metadata: Sequence[tuple[str, str]] = ()) -> bytes:
    """The header block of a unary gRPC call: literals that are never indexed, so that one block serves every call."""
    never_indexed = 0x10
    block = b"\x83\x86"  # static table: ":method: POST", ":scheme: http"
    for index, value in ((4, path), (1, authority), (31, "application/grpc"), (58, "bertline-benchmark")):
        block += integer(index, 4, never_indexed) + literal(value.encode())
    for name, value in (("te", "trailers"), *metadata):
        block += integer(0, 4, never_indexed) + literal(name.encode()) + literal(value.encode())
    return block


def grpc_status(block: bytes) -> int | None:
    """The status in a block of trailers, found as the literal that it is; None when there is none."""
    at = block.find(STATUS_NAME)
    if at < 0:
        return None
    start = at + len(STATUS_NAME) + 1
    digits = block[start : start + block[start - 1]]
    return int(digits) if digits.isdigit() else UNKNOWN


class _Unsent:
    """The rest of a request that the peer's windows do not admit yet."""

    __slots__ = ("body", "window")

    def __init__(self, body: bytes, window: int) -> None:
        self.body = body
        self.window = window


class _Received:
    """What has come of a reply."""

    __slots__ = ("consumed", "data", "headers")

    def __init__(self) -> None:
        self.data = b""
        self.headers = b""
        self.consumed = 0


class Connection:
    """Many unary calls over one connection. Calls go out through `outgoing`, which the caller empties into a socket."""

    def __init__(self, headers: bytes) -> None:
        self.outgoing = bytearray(
            PREFACE
            + settings({HEADER_TABLE_SIZE: 0, ENABLE_PUSH: 0, INITIAL_WINDOW_SIZE: RECEIVE_WINDOW})
            + window_update(0, RECEIVE_WINDOW - DEFAULT_WINDOW)
        )
        self.max_concurrent_streams: int | None = None
        self._head = struct.pack(">IB", len(headers) << 8 | HEADERS, END_HEADERS)
        self._headers = headers
        self._stream = -1
        self._incoming = b""
        self._received: dict[int, _Received] = {}
        self._consumed = 0
        self._window = DEFAULT_WINDOW
        self._stream_window = DEFAULT_WINDOW
        self._frame_size = DEFAULT_FRAME_SIZE
        self._unsent: dict[int, _Unsent] = {}
        self._open_headers: int | None = None
        self._handlers: dict[int, Callable[[int, int, bytes], Reply | None]] = {
            DATA: self._on_data,
            HEADERS: self._on_headers,
            CONTINUATION: self._on_headers,
            RST_STREAM: self._on_reset,
            SETTINGS: self._on_settings,
            PING: self._on_ping,
            GOAWAY: self._on_goaway,
            WINDOW_UPDATE: self._on_window_update,
        }

    def start(self, message: bytes) -> int:
        """Begins a call with a serialized request; returns its stream, which the reply will name."""
        self._stream = stream = self._stream + 2
        self._received[stream] = _Received()
        body = b"\0" + len(message).to_bytes(4, "big") + message
        name = stream.to_bytes(4, "big")
        self.outgoing += self._head + name + self._headers
        size = len(body)
        if size <= self._window and size <= self._stream_window and size <= self._frame_size and not self._unsent:
            self._window -= size
            self.outgoing += size.to_bytes(3, "big") + b"\0\1" + name + body
        else:
            self._unsent[stream] = _Unsent(body, self._stream_window)
            self._send_unsent()
        return stream

    def receive(self, chunk: bytes) -> list[Reply]:
        """Takes bytes from the socket; returns the calls that they finish. ProtocolError when nothing can follow."""
        incoming = self._incoming + chunk if self._incoming else chunk
        replies = []
        at, end = 0, len(incoming)
        while end - at >= 9:
            head = int.from_bytes(incoming[at : at + 9], "big")
            body = at + 9
            after = body + (head >> 48)
            if after > end:
                break
            handler = self._handlers.get(head >> 40 & 0xFF)
            if handler is not None:  # unknown types are ignored: RFC 9113, 4.1
                reply = handler(head >> 32 & 0xFF, head & 0x7FFFFFFF, incoming[body:after])
                if reply is not None:
                    replies.append(reply)
            at = after
        self._incoming = incoming[at:]
        return replies

    def _on_data(self, flags: int, stream: int, payload: bytes) -> Reply | None:
        size = len(payload)
        self._consumed += size
        if self._consumed >= RECEIVE_WINDOW // 2:
            self.outgoing += window_update(0, self._consumed)
            self._consumed = 0
        received = self._received.get(stream)
        if received is None:
            return None
        received.data += _unpadded(flags, payload) if flags & PADDED else payload
        if flags & END_STREAM:
            return self._finish(stream, UNKNOWN)  # a reply without trailers has no status
        received.consumed += size
        if received.consumed >= RECEIVE_WINDOW // 2:
            self.outgoing += window_update(stream, received.consumed)
            received.consumed = 0
        return None

    def _on_headers(self, flags: int, stream: int, payload: bytes) -> Reply | None:
        received = self._received.get(stream)
        if received is None:
            return None
        received.headers += _unpadded(flags, payload) if flags & (PADDED | PRIORITY) else payload
        if flags & END_STREAM:
            self._open_headers = stream
        if not flags & END_HEADERS:
            return None
        block, received.headers = received.headers, b""
        if self._open_headers != stream:
            return None
        self._open_headers = None
        status = grpc_status(block)
        return self._finish(stream, UNKNOWN if status is None else status)

    def _on_reset(self, _flags: int, stream: int, _payload: bytes) -> Reply | None:
        return self._finish(stream, INTERNAL) if stream in self._received else None

    def _on_settings(self, flags: int, _stream: int, payload: bytes) -> None:
        if flags & ACK:
            return
        for name, value in struct.iter_unpack(">HI", payload):
            if name == INITIAL_WINDOW_SIZE:
                for unsent in self._unsent.values():
                    unsent.window += value - self._stream_window
                self._stream_window = value
            elif name == MAX_FRAME_SIZE:
                self._frame_size = value
            elif name == MAX_CONCURRENT_STREAMS:
                self.max_concurrent_streams = value
        self.outgoing += frame(SETTINGS, ACK, 0)
        self._send_unsent()

    def _on_ping(self, flags: int, _stream: int, payload: bytes) -> None:
        if not flags & ACK:
            self.outgoing += frame(PING, ACK, 0, payload)

    def _on_goaway(self, _flags: int, _stream: int, payload: bytes) -> None:
        last, code = struct.unpack(">II", payload[:8])
        raise ProtocolError(f"the server closes the connection after stream {last}, error code {code}: {payload[8:]!r}")

    def _on_window_update(self, _flags: int, stream: int, payload: bytes) -> None:
        increment = int.from_bytes(payload, "big")
        if stream == 0:
            self._window += increment
        elif stream in self._unsent:
            self._unsent[stream].window += increment
        self._send_unsent()

    def _send_unsent(self) -> None:
        for stream, unsent in list(self._unsent.items()):
            while unsent.body:
                size = min(len(unsent.body), unsent.window, self._window, self._frame_size)
                if size <= 0:
                    break
                part, unsent.body = unsent.body[:size], unsent.body[size:]
                unsent.window -= size
                self._window -= size
                self.outgoing += frame(DATA, 0 if unsent.body else END_STREAM, stream, part)
            if not unsent.body:
                del self._unsent[stream]

    def _finish(self, stream: int, status: int) -> Reply:
        received = self._received.pop(stream)
        self._unsent.pop(stream, None)
        data = received.data
        if status != OK:
            return Reply(stream, status, b"")
        if len(data) < 5 or data[0] or int.from_bytes(data[1:5], "big") != len(data) - 5:
            return Reply(stream, INTERNAL, b"")  # not exactly one uncompressed message
        return Reply(stream, OK, data[5:])


def _unpadded(flags: int, payload: bytes) -> bytes:
    start, end = 0, len(payload)
    if flags & PADDED:
        start, end = 1, end - payload[0]
    return payload[start + 5 if flags & PRIORITY else start : end]
