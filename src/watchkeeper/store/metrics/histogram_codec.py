"""Native histograms as bytes: columns of many, one after the other, their byte planes apart, zstd.

columns  int32[5n]: schema, hint, positive buckets, negative buckets, bounds
         float64[4n]: count, sum, zero threshold, zero count
         int32: all bucket indices, as differences within a side  |  float64: all counts  |  float64: all bounds
"""

import numpy as np
import numpy.typing as npt
import zstandard

from watchkeeper.model.errors import Damaged
from watchkeeper.model.frame import Floats
from watchkeeper.model.histogram import NO_BUCKETS, Buckets, Hint, Histogram

_BYTES_MAX = 1 << 30
_pack = zstandard.ZstdCompressor(level=1)
_unpack = zstandard.ZstdDecompressor()


def encode(histograms: list[Histogram]) -> bytes:
    """Give the bytes of histograms; bucket indices of at most 31 bits."""
    sides = [side for one in histograms for side in (one.positive, one.negative)]
    heads = [
        (one.schema, int(one.hint), len(one.positive), len(one.negative), len(one.bounds) if one.custom else 0)
        for one in histograms
    ]
    numbers = [(one.count, one.sum, one.zero_threshold, one.zero_count) for one in histograms]
    columns = (
        np.array(heads, np.int32).T,
        np.array(numbers, np.float64).T,
        np.concatenate([np.diff(side.index, prepend=0) for side in sides]).astype(np.int32),
        np.concatenate([side.counts for side in sides]),
        np.concatenate([one.bounds for one in histograms if one.custom] or [np.zeros(0)]),
    )
    packed: bytes = _pack.compress(b"".join(_planes(np.ascontiguousarray(column)) for column in columns))
    return packed


def decode(data: bytes, count: int) -> list[Histogram]:
    """Read the bytes of `count` histograms.

    raises  Damaged when they are not that
    """
    try:
        plain = np.frombuffer(_unpack.decompress(data, max_output_size=_BYTES_MAX), np.uint8)
        heads, plain = _integers(plain, 5 * count)
        numbers, plain = _floats(plain, 4 * count)
        heads = heads.reshape(5, count)
        populated = int(heads[2:4].sum())
        index, plain = _integers(plain, populated)
        counts, plain = _floats(plain, populated)
        bounds, plain = _floats(plain, int(heads[4].sum()))
        if len(plain):
            raise Damaged(f"cannot read histograms: got {len(plain)} bytes more than {count} take")
    except (zstandard.ZstdError, ValueError) as error:
        raise Damaged(f"cannot read histograms: {error}") from error
    out, at, bound_at = [], 0, 0
    for (schema, hint, positive, negative, own), floats in zip(
        heads.T.tolist(), numbers.reshape(4, count).T.tolist(), strict=True
    ):
        middle, end = at + positive, at + positive + negative
        sides = (_side(index[at:middle], counts[at:middle]), _side(index[middle:end], counts[middle:end]))
        total, sum_, threshold, zeros = floats
        out.append(
            Histogram(total, sum_, schema, threshold, zeros, *sides, bounds[bound_at : bound_at + own], Hint(hint))
        )
        at, bound_at = end, bound_at + own
    return out


def _side(steps: npt.NDArray[np.int32], counts: Floats) -> Buckets:
    return Buckets(np.cumsum(steps, dtype=np.int64), counts) if len(steps) else NO_BUCKETS


def _planes(column: npt.NDArray[np.generic]) -> bytes:
    return column.view(np.uint8).reshape(-1, column.dtype.itemsize).T.tobytes()


def _take(
    data: npt.NDArray[np.uint8], item_bytes: int, length: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Give the bytes of a column's items, one after the other, and what follows the column."""
    size = item_bytes * length
    if length < 0 or len(data) < size:
        raise Damaged(f"cannot read histograms: got {len(data)} bytes, want {size}")
    return data[:size].reshape(item_bytes, length).T.copy().reshape(-1), data[size:]


def _integers(data: npt.NDArray[np.uint8], length: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    own, rest = _take(data, 4, length)
    return own.view(np.int32), rest


def _floats(data: npt.NDArray[np.uint8], length: int) -> tuple[Floats, npt.NDArray[np.uint8]]:
    own, rest = _take(data, 8, length)
    return own.view(np.float64), rest
