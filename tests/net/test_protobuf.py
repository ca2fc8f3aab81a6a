"""Protocol buffers by hand: what is written is read, bit by bit; damage raises one error that names the byte."""

import contextlib
import math
import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from watchkeeper.net.protobuf import (
    BYTES,
    FIXED64,
    VARINT,
    BrokenMessage,
    double_field,
    field,
    fields,
    number_field,
    read_double,
    read_numbers,
    read_varint,
    signed,
    varint,
)

NUMBERS = st.integers(1, (1 << 29) - 1)
INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
BITS = st.integers(0, (1 << 64) - 1)
FIELD = st.one_of(
    st.tuples(st.just(VARINT), NUMBERS, INT64),
    st.tuples(st.just(FIXED64), NUMBERS, BITS),
    st.tuples(st.just(BYTES), NUMBERS, st.binary(max_size=300)),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(FIELD, max_size=8))
def test_what_is_written_is_read(parts: list[tuple[int, int, int | bytes]]) -> None:
    message, want = b"", []
    for kind, number, value in parts:
        if isinstance(value, bytes):
            message += field(number, value)
        elif kind == VARINT:
            message += number_field(number, value)
        else:
            message += double_field(number, struct.unpack("<d", struct.pack("<Q", value))[0])
        if value or isinstance(value, bytes):
            want.append((kind, number, value))
    got: list[tuple[int, int, int | bytes]] = []
    for number, kind, start, stop in fields(message, 0, len(message)):
        if kind == BYTES:
            got.append((kind, number, message[start:stop]))
        elif kind == VARINT:
            got.append((kind, number, signed(read_varint(message, start, stop)[0])))
        else:
            got.append((kind, number, struct.unpack("<Q", struct.pack("<d", read_double(message, start)))[0]))
    assert got == want


@given(st.lists(BITS, max_size=20))
def test_packed_and_single_numbers_are_read_alike(numbers: list[int]) -> None:
    packed = b"".join(map(varint, numbers))
    assert read_numbers(packed, BYTES, 0, len(packed)) == numbers
    single = [read_numbers(varint(one) + b"\x07", VARINT, 0, len(varint(one)) + 1) for one in numbers]
    assert single == [[one] for one in numbers]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=100))
def test_any_bytes_are_a_message_or_a_broken_one(junk: bytes) -> None:
    with contextlib.suppress(BrokenMessage):
        spans = [(start, stop) for _, _, start, stop in fields(junk, 0, len(junk))]
        assert all(0 <= start <= stop <= len(junk) for start, stop in spans)


def test_zeros_are_left_out_but_not_the_negative_one() -> None:
    assert number_field(1, 0) == double_field(1, 0.0) == b""
    assert math.copysign(1, read_double(double_field(1, -0.0), 1)) == -1
