"""Protocol buffers read and written by hand: bounds checked, unknown fields skipped, positions named.

source  protobuf.dev/programming-guides/encoding
"""

import struct
from collections.abc import Iterator

from watchkeeper.model.errors import BadInput

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_DOUBLE = struct.Struct("<d")


class BrokenMessage(BadInput):
    """Bytes that are no protobuf, or not of the message that was wanted."""

    def __init__(self, at: int, got: str) -> None:
        super().__init__(f"cannot read message: got {got} at byte {at}, want protobuf")
        self.at, self.got = at, got


def read_varint(body: bytes, at: int, end: int) -> tuple[int, int]:
    """Read a varint of at most 64 bits; gives it and where it ends.

    raises  BrokenMessage when it is cut off or longer
    """
    if at < end and body[at] < 0x80:  # as nearly always
        return body[at], at + 1
    number, shift = 0, 0
    for place in range(at, min(at + 10, end)):
        byte = body[place]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            if number >> 64:
                break
            return number, place + 1
        shift += 7
    raise BrokenMessage(at, "a varint that is cut off" if end - at < 10 else "a varint of more than 64 bits")


def read_field(body: bytes, at: int, end: int) -> tuple[int, int, int, int]:
    """Read one field's head: number, wire type, and where the content begins and ends.

    raises  BrokenMessage when the field does not fit, or is a group
    """
    tag, start = read_varint(body, at, end)
    number, kind = tag >> 3, tag & 7
    if kind == BYTES:
        length, start = read_varint(body, start, end)
        stop = start + length
    elif kind == VARINT:
        _, stop = read_varint(body, start, end)
    elif kind in (FIXED64, FIXED32):
        stop = start + (8 if kind == FIXED64 else 4)
    else:
        raise BrokenMessage(at, f"wire type {kind}")
    if stop > end or number == 0:
        raise BrokenMessage(at, "a field longer than its message" if number else "field number 0")
    return number, kind, start, stop


def fields(body: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Walk over the fields of a message; see `read_field`.

    raises  BrokenMessage when a field does not fit, or is a group
    """
    while at < end:
        field_read = read_field(body, at, end)
        yield field_read
        at = field_read[3]


def want(kind: int, wanted: int, at: int, what: str) -> None:
    """Check a field's wire type.

    raises  BrokenMessage when it is another
    """
    if kind != wanted:
        raise BrokenMessage(at, f"wire type {kind} for {what}")


def read_double(body: bytes, at: int) -> float:
    """Read a double, bit for bit."""
    number: float = _DOUBLE.unpack_from(body, at)[0]
    return number


def read_numbers(body: bytes, kind: int, start: int, stop: int) -> list[int]:
    """Read a repeated integer field, packed or not.

    raises  BrokenMessage when a varint is cut off
    """
    numbers = []
    while start < stop:
        number, start = read_varint(body, start, stop)
        numbers.append(number)
        if kind == VARINT:
            break
    return numbers


def signed(number: int) -> int:
    """Give the int64 that a varint stands for."""
    return number - (1 << 64) if number >> 63 else number


def zigzag(number: int) -> int:
    """Give what stands for a sint32 or sint64: small whether it is positive or negative."""
    return number * 2 if number >= 0 else -number * 2 - 1


def unzigzag(number: int) -> int:
    """Give the sint32 or sint64 that a number stands for."""
    return (number >> 1) ^ -(number & 1)


def varint(number: int) -> bytes:
    """Write an int64 or uint64."""
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number: int, payload: bytes) -> bytes:
    """Write a field of bytes: text, a message, packed numbers."""
    return varint(number << 3 | BYTES) + varint(len(payload)) + payload


def number_field(number: int, value: int) -> bytes:
    """Write an integer field; nothing when it is 0."""
    return varint(number << 3) + varint(value) if value else b""


def double_field(number: int, value: float) -> bytes:
    """Write a double field; nothing when all its bits are 0."""
    packed = _DOUBLE.pack(value)
    return varint(number << 3 | FIXED64) + packed if packed != bytes(8) else b""
