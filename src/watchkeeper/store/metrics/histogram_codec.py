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
from watchkeeper.store.metrics.record import shuffle, unshuffle

_BYTES_MAX = 1 << 30
_pack = zstandard.ZstdCompressor(level=1)
_unpack = zstandard.ZstdDecompressor()


def encode(histograms: list[Histogram]) -> bytes:
    """Give the bytes of histograms; bucket indices of at most 31 bits, steps between them modulo 2**32."""
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
    packed: bytes = _pack.compress(b"".join(shuffle(np.ascontiguousarray(column)) for column in columns))
    return packed


def decode(data: bytes, count: int) -> list[Histogram]:
    """Read the bytes of `count` histograms.

    raises  Damaged when they are not that
    """
    try:
        return _decode(_unpack.decompress(data, max_output_size=_BYTES_MAX), count)
    except (zstandard.ZstdError, ValueError) as error:
        raise Damaged(f"cannot read histograms: {error}") from error


def _decode(plain: bytes, count: int) -> list[Histogram]:
    heads, plain = _integers(plain, 5 * count)
    numbers, plain = _floats(plain, 4 * count)
    heads = heads.reshape(5, count)
    populated = int(heads[2:4].sum())
    index, plain = _integers(plain, populated)
    counts, plain = _floats(plain, populated)
    bounds, plain = _floats(plain, int(heads[4].sum()))
    if plain:
        raise ValueError(f"got {len(plain)} bytes more than {count} take")
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
    if not len(steps):
        return NO_BUCKETS
    return Buckets(np.cumsum(steps, dtype=np.int32).astype(np.int64), counts)  # wraps back where a step wrapped


def _integers(plain: bytes, length: int) -> tuple[npt.NDArray[np.int32], bytes]:
    """Give a column and what follows it."""
    own, rest = _cut(plain, 4 * length)
    return unshuffle(own, np.dtype(np.int32)), rest


def _floats(plain: bytes, length: int) -> tuple[Floats, bytes]:
    own, rest = _cut(plain, 8 * length)
    return unshuffle(own, np.dtype(np.float64)), rest


def _cut(plain: bytes, size: int) -> tuple[bytes, bytes]:
    if not 0 <= size <= len(plain):
        raise ValueError(f"got {len(plain)} bytes, want {size}")
    return plain[:size], plain[size:]
