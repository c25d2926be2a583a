"""Strategies for what a broken or hostile client writes into a socket: bytes, frames, streams that end in the middle."""

from __future__ import annotations

import struct

from hypothesis import strategies as st

from benchmarks.frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    frame,
    request_headers,
    settings,
    timeout_header,
)
from benchmarks.messages import OPEN_PATH, PATH, request

HEADER_BLOCK = request_headers("127.0.0.1", PATH) + timeout_header(2.0)
OPEN_BLOCK = request_headers("127.0.0.1", OPEN_PATH)
KINDS = [DATA, HEADERS, 0x2, RST_STREAM, SETTINGS, 0x5, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION, 0x42]
STREAMS = st.sampled_from([0, 1, 2, 3, 5, 7, 0x7FFFFFFF, 0xFFFFFFFF])
GREETING = PREFACE + settings({})


def message(body: bytes, size: int | None = None, compressed: int = 0) -> bytes:
    """gRPC's five bytes before a message; `size` may lie."""
    return struct.pack(">BI", compressed, len(body) if size is None else size) + body


def _headers(stream: int, block: bytes = HEADER_BLOCK, flags: int = END_HEADERS) -> bytes:
    return frame(HEADERS, flags, stream, block)


def _lying_lengths() -> st.SearchStrategy[bytes]:
    """A message that says it is longer or shorter than what comes, or compressed although it is not."""
    return st.builds(
        lambda body, size, compressed, end: (
            _headers(1) + frame(DATA, END_STREAM if end else 0, 1, message(body, size, compressed))
        ),
        st.binary(max_size=200),
        st.one_of(st.none(), st.integers(0, 300), st.sampled_from([0xFFFFFFFF, 1 << 24, 1 << 31])),
        st.sampled_from([0, 1, 2, 255]),
        st.booleans(),
    )


def _random_frames() -> st.SearchStrategy[bytes]:
    single = st.builds(frame, st.sampled_from(KINDS), st.integers(0, 255), STREAMS, st.binary(max_size=64))
    return st.lists(single, min_size=1, max_size=8).map(b"".join)


def _broken_headers() -> st.SearchStrategy[bytes]:
    blocks = st.one_of(
        st.binary(max_size=100),
        st.builds(lambda cut: HEADER_BLOCK[:cut], st.integers(0, len(HEADER_BLOCK))),
        st.builds(lambda tail: HEADER_BLOCK + tail, st.binary(max_size=60)),
    )
    return st.builds(
        lambda block, flags, stream: (
            frame(HEADERS, flags, stream, block) + frame(DATA, END_STREAM, stream, message(b""))
        ),
        blocks,
        st.sampled_from([END_HEADERS, 0, END_HEADERS | END_STREAM, END_HEADERS | PRIORITY, 0xFF]),
        STREAMS,
    )


def _floods() -> st.SearchStrategy[bytes]:
    """The same small thing many times."""
    proper = message(request("tiny", "bank"))
    things = [
        frame(PING, 0, 0, b"12345678"),
        settings({4: 1 << 30}),
        frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"),
        frame(DATA, 0, 1, b""),
    ]
    resets = b"".join(
        _headers(number) + frame(DATA, END_STREAM, number, proper) + frame(RST_STREAM, 0, number, b"\0\0\0\x08")
        for number in range(1, 200, 2)
    )
    floods = [_headers(1) + 200 * thing for thing in things] + [
        resets,
        _headers(1, flags=0) + 50 * frame(CONTINUATION, 0, 1, b"\x00"),
    ]
    return st.sampled_from(floods)


def _cut_calls() -> st.SearchStrategy[bytes]:
    """A proper call that ends anywhere."""
    whole = _headers(1) + frame(DATA, END_STREAM, 1, message(request("tiny", "bank")))
    second = _headers(3, OPEN_BLOCK) + frame(DATA, 0, 3, message(b"\x0a\x04tiny"))
    both = whole + second
    return st.integers(0, len(both)).map(lambda cut: both[:cut])


def writings() -> st.SearchStrategy[bytes]:
    """What is written into a fresh connection."""
    behind_greeting = st.one_of(_lying_lengths(), _random_frames(), _broken_headers(), _floods(), _cut_calls())
    return st.one_of(
        st.binary(max_size=300),
        st.builds(lambda cut: GREETING[:cut], st.integers(0, len(GREETING))),
        behind_greeting.map(lambda rest: GREETING + rest),
    )
