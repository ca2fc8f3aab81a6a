"""A remote-write 1.0 sender of a few lines, independent of the program's own decoder."""

import struct
from collections.abc import Mapping, Sequence

import cramjam


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _field(number: int, payload: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _series(labels: Mapping[str, str], samples: Sequence[tuple[int, float]]) -> bytes:
    pairs = b"".join(
        _field(1, _field(1, name.encode()) + _field(2, value.encode())) for name, value in sorted(labels.items())
    )
    points = (b"\x09" + struct.pack("<d", value) + b"\x10" + _varint(time_ms) for time_ms, value in samples)
    return pairs + b"".join(_field(2, point) for point in points)


def write_request(series: Sequence[tuple[Mapping[str, str], Sequence[tuple[int, float]]]]) -> bytes:
    """Give the body of POST /api/v1/write: WriteRequest in snappy's block format."""
    message = b"".join(_field(1, _series(labels, samples)) for labels, samples in series)
    return bytes(cramjam.snappy.compress_raw(message))
