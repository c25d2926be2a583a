"""HTTP/2 frames and gRPC's headers as bytes (RFC 9113, RFC 7541, "gRPC over HTTP/2"), as far as unary calls need them."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0x0, 0x1, 0x3, 0x4, 0x6, 0x7, 0x8, 0x9
END_STREAM = ACK = 0x1
END_HEADERS, PADDED, PRIORITY = 0x4, 0x8, 0x20

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 0x1, 0x2, 0x3, 0x4, 0x5

NEVER_INDEXED = 0x10

DEFAULT_WINDOW = 65_535
DEFAULT_FRAME_SIZE = 16_384
STATUS_NAME = b"grpc-status"
DETAILS_NAME = b"grpc-status-details-bin"
OK, CANCELLED, UNKNOWN, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE = 0, 1, 2, 4, 8, 13, 14

TRUE_BINARY_METADATA = 0xFE03
"""gRPC's own setting: binary metadata may come as bytes behind a 0 instead of base64, which gRPC would Huffman-code."""
CANCEL = 0x8
RESETS = {0x7: UNAVAILABLE, CANCEL: CANCELLED, 0xB: RESOURCE_EXHAUSTED}
"""HTTP/2 error code of a reset -> gRPC status ("gRPC over HTTP2", errors); INTERNAL for all others."""


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


def header(name: str, value: str) -> bytes:
    """A header that no table keeps; appended to `request_headers`, it is sent with one call."""
    return integer(0, 4, NEVER_INDEXED) + literal(name.encode()) + literal(value.encode())


def timeout_header(seconds: float) -> bytes:
    """The deadline of a call, rounded up to a microsecond; below 100 seconds, as 8 digits are all that gRPC allows."""
    return header("grpc-timeout", f"{max(1, min(99_999_999, math.ceil(seconds * 1e6)))}u")


def request_headers(authority: str, path: str, metadata: Sequence[tuple[str, str]] = ()) -> bytes:
    """The header block of a unary gRPC call: literals that are never indexed, so that one block serves every call."""
    block = b"\x83\x86"  # static table: ":method: POST", ":scheme: http"
    for index, value in ((4, path), (1, authority), (31, "application/grpc"), (58, "bertline-benchmark")):
        block += integer(index, 4, NEVER_INDEXED) + literal(value.encode())
    for name, value in (("te", "trailers"), *metadata):
        block += header(name, value)
    return block


def grpc_status(block: bytes) -> int | None:
    """The status in a block of trailers, found as the literal that it is; None when there is none."""
    digits = value_of(block, b"\x0b" + STATUS_NAME)
    if digits is None:
        return None
    return int(digits) if digits.isdigit() else UNKNOWN


def status_details(block: bytes) -> bytes:
    """The serialized google.rpc.Status in a block of trailers; empty when there is none, or not as plain bytes."""
    value = value_of(block, DETAILS_NAME) or b""
    return value[1:] if value[:1] == b"\0" else b""


def value_of(block: bytes, name: bytes) -> bytes | None:
    """The value behind a literal name."""
    at = block.find(name)
    if at < 0:
        return None
    start = at + len(name)
    size, used = _length(block, start)
    return block[start + used : start + used + size]


def _length(block: bytes, at: int) -> tuple[int, int]:
    """An HPACK integer of 7 bits and more: value, and bytes that it takes."""
    value = block[at] & 0x7F
    used = 1
    if value == 0x7F:
        while True:
            byte = block[at + used]
            value += (byte & 0x7F) << 7 * (used - 1)
            used += 1
            if not byte & 0x80:
                break
    return value, used
