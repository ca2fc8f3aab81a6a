"""Values of a chunk as bytes, every bit kept: NaN payloads, staleness, absence, minus zero.

A group is the values of a few columns over the rows of one chunk. Sections, each a u32 length and that many bytes:

kinds      u8 a column: 0 the same value in all rows, 1…3 whole multiples of 1, 1/100, 1/1000, 4 any other
holes      nothing, or where values are that are no plain numbers (not finite, or minus zero): packed bits, column
           after column, zstd; below, a hole counts as the value before it
patterns   the bits of the holes, pcodec u64
constants  the values of kind 0, pcodec f64
firsts     of kinds 1…3, in the order of columns: the first multiple, pcodec i64
strides    the largest common divisor of each column's steps, pcodec i64
steps      from each multiple to the next, divided by the stride, column after column, pcodec i64
floats     the values of kind 4, column after column, pcodec f64

Measured against pcodec on the plain floats, values like a node exporter's, 32 columns by 120 rows: 1.05 instead of
2.11 bytes a value, and half the time to decode.
"""

import struct

import numpy as np
import numpy.typing as npt
import pcodec
import pcodec.standalone as pco
import zstandard

from watchkeeper.model.frame import Floats
from watchkeeper.model.labels import Ints

GROUP_COLUMNS = 32
_SCALES = (1.0, 100.0, 1000.0)
_CONSTANT, _FLOATS = 0, 4
_EXACT = float(1 << 53)
_LENGTHS = struct.Struct("<8I")
_AUTO = pcodec.ChunkConfig(compression_level=8)
_PLAIN = pcodec.ChunkConfig(
    compression_level=8, mode_spec=pcodec.ModeSpec.classic(), delta_spec=pcodec.DeltaSpec.no_op()
)

Mask = npt.NDArray[np.bool_]


def encode(values: Floats) -> bytes:
    """Pack float64[columns, rows]; at least one of each."""
    values = np.ascontiguousarray(values)
    holes = ~np.isfinite(values) | ((values == 0.0) & np.signbit(values))
    packed_holes = patterns = b""
    if holes.any():
        packed_holes = zstandard.compress(np.packbits(holes).tobytes(), 1)
        patterns = _pack(values.view(np.uint64)[holes])
        values = _filled(values, holes)
    kinds, ints = _classify(values)
    whole = ints[(kinds != _CONSTANT) & (kinds != _FLOATS)]
    steps = np.diff(whole, axis=1)
    strides = np.gcd.reduce(steps, axis=1) if steps.shape[1] else np.ones(len(steps), np.int64)
    strides[strides == 0] = 1
    sections = (
        kinds.tobytes(),
        packed_holes,
        patterns,
        _pack(values[kinds == _CONSTANT, 0], _AUTO),
        _pack(whole[:, 0]),
        _pack(strides),
        _pack(steps // strides[:, None]),
        _pack(values[kinds == _FLOATS], _AUTO),
    )
    return _LENGTHS.pack(*map(len, sections)) + b"".join(sections)


def decode(data: bytes, columns: int, rows: int, wanted: npt.NDArray[np.integer] | None = None) -> Floats:
    """Unpack what `encode` packed.

    wanted   which of the columns; all when None
    returns  float64[len(wanted), rows], C-contiguous
    """
    kinds_b, holes_b, patterns_b, constants_b, *whole_b, floats_b = _split(data)
    kinds = np.frombuffer(kinds_b, np.uint8)
    chosen = np.arange(columns) if wanted is None else wanted
    out = np.empty((len(chosen), rows))
    kind = kinds[chosen]
    same = kind == _CONSTANT
    if same.any():
        place = np.cumsum(kinds == _CONSTANT) - 1
        out[same] = _unpack(constants_b)[place[chosen[same]], None]
    other = kind == _FLOATS
    if other.any():
        place = np.cumsum(kinds == _FLOATS) - 1
        out[other] = _unpack(floats_b).reshape(-1, rows)[place[chosen[other]]]
    whole = ~(same | other)
    if whole.any():
        place = np.cumsum((kinds != _CONSTANT) & (kinds != _FLOATS)) - 1
        out[whole] = _multiples(whole_b, place[chosen[whole]], kind[whole], rows)
    if holes_b:
        _put_holes(out, holes_b, patterns_b, columns, chosen)
    return out


def _pack(values: npt.NDArray[np.generic], config: pcodec.ChunkConfig = _PLAIN) -> bytes:
    return bytes(pco.simple_compress(np.ascontiguousarray(values).reshape(-1), config)) if values.size else b""


def _unpack(data: bytes) -> npt.NDArray[np.generic]:
    return pco.simple_decompress(data)


def _split(data: bytes) -> list[bytes]:
    at, sections = _LENGTHS.size, []
    for length in _LENGTHS.unpack_from(data):
        sections.append(data[at : at + length])
        at += length
    return sections


def _filled(values: Floats, holes: Mask) -> Floats:
    """Give the values with each hole filled by the one before it, or the first after it, or 0."""
    rows = np.arange(values.shape[1])
    before = np.maximum.accumulate(np.where(holes, -1, rows), axis=1)
    first = np.argmax(~holes, axis=1)
    filled = np.take_along_axis(values, np.where(before < 0, first[:, None], before), axis=1)
    filled[holes.all(axis=1)] = 0.0
    return filled


def _classify(values: Floats) -> tuple[npt.NDArray[np.uint8], Ints]:
    """Give each column's kind, and int64[columns, rows] of multiples (anything where the kind has none)."""
    kinds = np.full(len(values), _FLOATS, np.uint8)
    ints = np.zeros(values.shape, np.int64)
    kinds[(values == values[:, :1]).all(axis=1)] = _CONSTANT
    for number, scale in enumerate(_SCALES, 1):
        left = np.flatnonzero(kinds == _FLOATS)
        if not len(left):
            break
        plain = values[left]
        with np.errstate(over="ignore"):
            scaled = np.rint(plain * scale)
        fits = ((scaled / scale == plain) & (np.abs(scaled) <= _EXACT)).all(axis=1)
        kinds[left[fits]] = number
        ints[left[fits]] = scaled[fits].astype(np.int64)
    return kinds, ints


def _multiples(sections: list[bytes], place: Ints, kind: npt.NDArray[np.uint8], rows: int) -> Floats:
    firsts, strides = _unpack(sections[0])[place], _unpack(sections[1])[place]
    ints = np.empty((len(place), rows), np.int64)
    ints[:, 0] = firsts
    if rows > 1:
        np.multiply(_unpack(sections[2]).reshape(-1, rows - 1)[place], strides[:, None], out=ints[:, 1:])
        np.cumsum(ints, axis=1, out=ints)
    found = ints.astype(np.float64)
    if (kind != 1).any():
        found /= np.array((1.0, *_SCALES))[kind][:, None]
    return found


def _put_holes(out: Floats, holes_b: bytes, patterns_b: bytes, columns: int, chosen: npt.NDArray[np.integer]) -> None:
    rows = out.shape[1]
    packed = np.frombuffer(zstandard.decompress(holes_b, max_output_size=columns * rows), np.uint8)
    holes = np.unpackbits(packed, count=columns * rows).view(np.bool_).reshape(columns, rows)
    patterns = np.zeros((columns, rows), np.uint64)
    patterns[holes] = _unpack(patterns_b)
    mine = holes[chosen]
    out.view(np.uint64)[mine] = patterns[chosen][mine]
