from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.frames import (
    END_HEADERS,
    END_STREAM,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    UNKNOWN,
    frame,
    grpc_status,
    integer,
    literal,
    request_headers,
    settings,
    status_details,
    timeout_header,
    window_update,
)


def decoded_integer(data: bytes, prefix_bits: int) -> tuple[int, int]:
    """RFC 7541, 5.1, written from the pseudo code there: value and bytes read."""
    limit = (1 << prefix_bits) - 1
    value = data[0] & limit
    if value < limit:
        return value, 1
    shift = 0
    for position, byte in enumerate(data[1:], start=2):
        value += (byte & 127) << shift
        shift += 7
        if not byte & 128:
            return value, position
    raise AssertionError("the integer does not end")


def decoded_literals(block: bytes) -> list[tuple[int | bytes, bytes]]:
    """Never-indexed literals as (static index or name, value)."""
    found: list[tuple[int | bytes, bytes]] = []

    def string(at: int) -> tuple[bytes, int]:
        size, used = decoded_integer(block[at:], 7)
        return block[at + used : at + used + size], at + used + size

    at = 0
    while at < len(block):
        assert block[at] & 0xF0 == 0x10
        index, used = decoded_integer(block[at:], 4)
        at += used
        name: int | bytes = index
        if index == 0:
            name, at = string(at)
        value, at = string(at)
        found.append((name, value))
    return found


def test_a_frame_is_length_type_flags_stream_and_payload() -> None:
    assert frame(HEADERS, END_STREAM | END_HEADERS, 5, b"abc") == b"\0\0\3\1\5\0\0\0\5abc"
    assert frame(0x0, 0, 0x7FFFFFFF, b"x" * 70_000)[:9] == b"\x01\x11\x70\0\0\x7f\xff\xff\xff"


def test_settings_and_window_updates_have_the_layout_of_the_rfc() -> None:
    assert settings({INITIAL_WINDOW_SIZE: 1 << 20}) == b"\0\0\6\4\0\0\0\0\0\0\4\0\x10\0\0"
    assert window_update(3, 258) == b"\0\0\4\x08\0\0\0\0\3\0\0\1\2"


def test_integers_match_the_examples_of_rfc_7541() -> None:
    assert integer(10, 5, 0) == b"\x0a"
    assert integer(1337, 5, 0) == b"\x1f\x9a\x0a"
    assert integer(42, 8, 0) == b"\x2a"


@given(st.integers(0, 1 << 40), st.integers(1, 8))
def test_every_integer_survives_its_encoding(value: int, prefix_bits: int) -> None:
    encoded = integer(value, prefix_bits, 0)
    assert decoded_integer(encoded, prefix_bits) == (value, len(encoded))


def test_long_strings_carry_long_lengths() -> None:
    assert literal(b"x" * 200)[:2] == b"\x7f\x49"
    assert len(literal(b"x" * 200)) == 202


def test_request_headers_are_literals_that_no_table_keeps() -> None:
    block = request_headers("127.0.0.1:1", "/a.B/C", [("x-correlation-id", "k" * 150)])
    assert block[:2] == b"\x83\x86"
    assert decoded_literals(block[2:]) == [
        (4, b"/a.B/C"),
        (1, b"127.0.0.1:1"),
        (31, b"application/grpc"),
        (58, b"bertline-benchmark"),
        (b"te", b"trailers"),
        (b"x-correlation-id", b"k" * 150),
    ]


@pytest.mark.parametrize("status", [0, 3, 14])
def test_the_status_is_found_among_other_trailers(status: int) -> None:
    digits = str(status).encode()
    block = b"\x20\x00" + literal(b"x-correlation-id") + literal(b"77") + b"\x00" + literal(b"grpc-status")
    assert grpc_status(block + literal(digits) + b"\x00" + literal(b"grpc-message") + literal(b"no")) == status


def test_the_details_of_a_status_are_found_as_true_bytes_only() -> None:
    details = bytes(range(256)) * 3
    name = b"\x00" + literal(b"grpc-status-details-bin")
    block = name + literal(b"\0" + details) + b"\x00" + literal(b"grpc-status") + literal(b"8")
    assert status_details(block) == details
    assert grpc_status(block) == 8, "the name of the details begins like that of the status"
    assert status_details(name + literal(b"CAUS")) == b""
    assert status_details(b"\x88") == b""


def test_a_deadline_is_said_in_microseconds_of_at_most_eight_digits() -> None:
    values = [decoded_literals(timeout_header(seconds))[0][1] for seconds in (1.5, 0.0000001, -3.0, 1e9)]
    assert values == [b"1500000u", b"1u", b"1u", b"99999999u"]


def test_a_block_without_status_has_none_and_a_garbled_one_is_unknown() -> None:
    assert grpc_status(b"\x88\x00" + literal(b"content-type") + literal(b"application/grpc")) is None
    assert grpc_status(b"\x00" + literal(b"grpc-status") + literal(b"x")) == UNKNOWN
