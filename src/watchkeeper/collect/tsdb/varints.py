"""Varints in Prometheus' files: one by one where few, all at once where many."""

import numpy as np
import numpy.typing as npt

from watchkeeper.model.errors import BadInput

_BYTES_MAX = 10


def uvarint(data: bytes, at: int) -> tuple[int, int]:
    """Read an unsigned varint; gives it and where it ends.

    raises  BadInput when it is cut off or too long
    """
    number = shift = 0
    for place in range(at, min(at + _BYTES_MAX, len(data))):
        byte = data[place]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, place + 1
        shift += 7
    raise BadInput(f"cannot read a varint: got one that is cut off at byte {at}, want at most {_BYTES_MAX} bytes")


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Read a signed varint (zigzag); gives it and where it ends.

    raises  BadInput when it is cut off or too long
    """
    number, at = uvarint(data, at)
    return (number >> 1) ^ -(number & 1), at


def all_uvarints(data: bytes) -> npt.NDArray[np.int64]:
    """Read bytes that are unsigned varints and nothing else; int64[n], as bits of uint64.

    raises  BadInput when the last one is cut off, or one is too long
    """
    raw = np.frombuffer(data, np.uint8)
    if not len(raw):
        return np.empty(0, np.int64)
    ends = np.flatnonzero(raw < 0x80)
    starts = np.concatenate([[0], ends[:-1] + 1])
    if not len(ends) or ends[-1] != len(raw) - 1 or (ends - starts).max() >= _BYTES_MAX:
        raise BadInput("cannot read varints: got one that is cut off or too long")
    numbers = (raw[ends] & 0x7F).astype(np.int64)
    for back in range(1, int((ends - starts).max()) + 1):
        more = ends - starts >= back
        numbers[more] = numbers[more] << 7 | (raw[ends[more] - back] & 0x7F)
    return numbers


def unzigzag(numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Give the signed numbers that unsigned ones stand for."""
    return (numbers.view(np.uint64) >> np.uint64(1)).view(np.int64) ^ -(numbers & 1)
