"""HTTP/2 frames and gRPC's headers as bytes (RFC 9113, RFC 7541, "gRPC over HTTP/2"), as far as unary calls need them."""

from __future__ import annotations

import struct
from collections.abc import Sequence

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0x0, 0x1, 0x3, 0x4, 0x6, 0x7, 0x8, 0x9
END_STREAM = ACK = 0x1
END_HEADERS, PADDED, PRIORITY = 0x4, 0x8, 0x20

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 0x1, 0x2, 0x3, 0x4, 0x5

DEFAULT_WINDOW = 65_535
DEFAULT_FRAME_SIZE = 16_384
STATUS_NAME = b"grpc-status"
OK, UNKNOWN, INTERNAL, UNAVAILABLE = 0, 2, 13, 14


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
