"""The client half of an HTTP/2 connection that unary gRPC calls need, without sockets: bytes in, replies out.

Left out on purpose: TLS, server push, dynamic header tables (ours is set to size 0, so that a server's headers come as
literals) and Huffman-coded names of the status.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

from benchmarks.frames import (
    ACK,
    CANCEL,
    CONTINUATION,
    DATA,
    DEFAULT_FRAME_SIZE,
    DEFAULT_WINDOW,
    ENABLE_PUSH,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADER_TABLE_SIZE,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    INTERNAL,
    MAX_CONCURRENT_STREAMS,
    MAX_FRAME_SIZE,
    OK,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    RESETS,
    RST_STREAM,
    SETTINGS,
    TRUE_BINARY_METADATA,
    UNKNOWN,
    WINDOW_UPDATE,
    frame,
    grpc_status,
    settings,
    window_update,
)

RECEIVE_WINDOW = 1 << 20
"""Bytes a server may send before we grant more; granted again when half of it is used."""


class ProtocolError(Exception):
    """The peer does not speak HTTP/2 as RFC 9113 says, or ended the connection."""


class Reply(NamedTuple):
    """How one call ended. `status` is a gRPC status code; `message` is the serialized reply, empty on errors.

    `trailers` is the header block that came with an error.
    """

    stream: int
    status: int
    message: bytes
    trailers: bytes = b""


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
            + settings(
                {
                    HEADER_TABLE_SIZE: 0,
                    ENABLE_PUSH: 0,
                    INITIAL_WINDOW_SIZE: RECEIVE_WINDOW,
                    TRUE_BINARY_METADATA: 1,
                }
            )
            + window_update(0, RECEIVE_WINDOW - DEFAULT_WINDOW)
        )
        self.max_concurrent_streams: int | None = None
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

    def start(self, message: bytes, more: bytes = b"", headers: bytes | None = None) -> int:
        """Begins a call with a serialized request; returns its stream, which the reply will name.

        `more` are headers of this call alone; `headers` stand for the connection's own, for a call of another method.
        """
        self._stream = stream = self._stream + 2
        self._received[stream] = _Received()
        body = b"\0" + len(message).to_bytes(4, "big") + message
        name = stream.to_bytes(4, "big")
        block = (self._headers if headers is None else headers) + more
        self.outgoing += (len(block) << 16 | HEADERS << 8 | END_HEADERS).to_bytes(5, "big") + name + block
        size = len(body)
        if size <= self._window and size <= self._stream_window and size <= self._frame_size and not self._unsent:
            self._window -= size
            self.outgoing += size.to_bytes(3, "big") + b"\0\1" + name + body
        else:
            self._unsent[stream] = _Unsent(body, self._stream_window)
            self._send_unsent()
        return stream

    def cancel(self, stream: int) -> None:
        """Gives a call up; no reply will name it."""
        if self._received.pop(stream, None) is not None:
            self._unsent.pop(stream, None)
            self.outgoing += frame(RST_STREAM, 0, stream, CANCEL.to_bytes(4, "big"))

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
        return self._finish(stream, UNKNOWN if status is None else status, block)

    def _on_reset(self, _flags: int, stream: int, payload: bytes) -> Reply | None:
        if stream not in self._received:
            return None
        return self._finish(stream, RESETS.get(int.from_bytes(payload, "big"), INTERNAL))

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

    def _finish(self, stream: int, status: int, trailers: bytes = b"") -> Reply:
        received = self._received.pop(stream)
        self._unsent.pop(stream, None)
        data = received.data
        if status != OK:
            return Reply(stream, status, b"", trailers)
        if len(data) < 5 or data[0] or int.from_bytes(data[1:5], "big") != len(data) - 5:
            return Reply(stream, INTERNAL, b"")  # not exactly one uncompressed message
        return Reply(stream, OK, data[5:])


def _unpadded(flags: int, payload: bytes) -> bytes:
    start, end = 0, len(payload)
    if flags & PADDED:
        start, end = 1, end - payload[0]
    return payload[start + 5 if flags & PRIORITY else start : end]
