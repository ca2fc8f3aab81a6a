"""Records of the metrics log. docs/formats/wal.md has the bytes.

ROWS      one append: declarations of the layouts it is the first or second in the segment to use, then rows.
          A declaration carries the labels and a base: the values of the row it was made for. Rows are kept as their
          difference (exclusive or of the bits) from the base, byte planes apart, zstd: counters and gauges of one
          series have their upper bytes in common. Each declaration is written twice, so that damage to any one
          record costs that record alone; its number is drawn anew for each segment, so that a row is never laid over
          the base of another.
METADATA  what expositions said about families.
EXEMPLARS see exemplars.py.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import orjson
import zstandard

from watchkeeper.model.errors import Damaged
from watchkeeper.model.frame import Floats, MetricMetadata
from watchkeeper.model.labels import LabelTable

ROWS, METADATA, EXEMPLARS = 1, 2, 3

_Number = TypeVar("_Number", bound=np.generic)

_HEAD = struct.Struct("<II")
_LENGTH = struct.Struct("<I")
_DECLARED = struct.Struct("<QII")
_BYTES_MAX = 1 << 30
_pack = zstandard.ZstdCompressor(level=1)
_unpack = zstandard.ZstdDecompressor()


@dataclass(frozen=True, slots=True, eq=False)
class Declaration:
    """A layout as a segment knows it.

    number  what rows call it; unique over all segments
    labels  label name → value of each series
    base    float64[n]: what the values of its rows are differences from
    """

    number: int
    source: str
    labels: Mapping[str, Sequence[str]]
    base: Floats


@dataclass(frozen=True, slots=True, eq=False)
class LoggedRow:
    """One row as logged; `values` is uint64[n], the exclusive or of base and values."""

    number: int
    time_ms: int
    whole: bool
    values: npt.NDArray[np.uint64]


def shuffle(values: npt.NDArray[np.generic]) -> bytes:
    """Give the byte planes of contiguous numbers: all first bytes, all second bytes, …"""
    return values.view(np.uint8).reshape(-1, values.itemsize).T.tobytes()


def unshuffle(data: bytes, dtype: "np.dtype[_Number]") -> npt.NDArray[_Number]:
    """Undo `shuffle`; raises ValueError when these are not whole numbers of that type."""
    return np.frombuffer(data, np.uint8).reshape(dtype.itemsize, -1).T.copy().view(dtype).reshape(-1)


def declare(number: int, source: str, table: LabelTable, base: Floats) -> bytes:
    """Encode a declaration, for use by `encode_rows`."""
    labels = {name: table.values(name) for name in table.names}
    text = orjson.dumps([source, labels])
    packed: bytes = _pack.compress(text + shuffle(base.view(np.uint64)))
    return _DECLARED.pack(number, len(base), len(text)) + packed


def encode_rows(declarations: Sequence[bytes], rows: Sequence[LoggedRow]) -> bytes:
    """Encode one append."""
    parts = [_HEAD.pack(len(declarations), len(rows))]
    for declaration in declarations:
        parts += (_LENGTH.pack(len(declaration)), declaration)
    head = np.empty((len(rows), 3), np.int64)
    for at, row in enumerate(rows):
        head[at] = (row.number, row.time_ms, (len(row.values) << 1) | row.whole)
    values = rows[0].values if len(rows) == 1 else np.concatenate([row.values for row in rows])
    parts += (head.tobytes(), _pack.compress(shuffle(values)))
    return b"".join(parts)


def decode_rows(payload: bytes) -> tuple[list[Declaration], list[LoggedRow]]:
    """Undo `encode_rows`.

    raises  Damaged when the payload is none of ours
    """
    try:
        return _decode_rows(payload)
    except (struct.error, ValueError, IndexError, zstandard.ZstdError) as error:
        raise Damaged(f"cannot read rows of the log: {error}") from error


def _decode_rows(payload: bytes) -> tuple[list[Declaration], list[LoggedRow]]:
    n_declarations, n_rows = _HEAD.unpack_from(payload)
    at, declarations = _HEAD.size, []
    for _ in range(n_declarations):
        (length,) = _LENGTH.unpack_from(payload, at)
        at += _LENGTH.size
        declarations.append(_declaration(payload[at : at + length]))
        at += length
    head = np.frombuffer(payload, np.int64, 3 * n_rows, at).reshape(n_rows, 3)
    values = unshuffle(_unpack.decompress(payload[at + head.nbytes :], max_output_size=_BYTES_MAX), np.dtype(np.uint64))
    rows, start = [], 0
    for number, time_ms, length_whole in head.tolist():
        end = start + (length_whole >> 1)
        rows.append(LoggedRow(number, time_ms, bool(length_whole & 1), values[start:end]))
        start = end
    return declarations, rows


def _declaration(data: bytes) -> Declaration:
    number, n_series, text_bytes = _DECLARED.unpack_from(data)
    plain = _unpack.decompress(data[_DECLARED.size :], max_output_size=_BYTES_MAX)
    source, labels = orjson.loads(plain[:text_bytes])
    base = unshuffle(plain[text_bytes:], np.dtype(np.float64))
    if len(base) != n_series:
        raise ValueError(f"got {len(base)} base values, want {n_series}")
    return Declaration(number, source, labels, base)


def encode_metadata(families: Mapping[str, Sequence[MetricMetadata]]) -> bytes:
    """Encode families."""
    plain = {name: [[one.type, one.help, one.unit] for one in many] for name, many in families.items()}
    packed: bytes = _pack.compress(orjson.dumps(plain))
    return packed


def decode_metadata(payload: bytes) -> dict[str, list[MetricMetadata]]:
    """Undo `encode_metadata`.

    raises  Damaged when the payload is none of ours
    """
    try:
        plain = orjson.loads(_unpack.decompress(payload, max_output_size=_BYTES_MAX))
        return {name: [MetricMetadata(*one) for one in many] for name, many in plain.items()}
    except (ValueError, TypeError, zstandard.ZstdError) as error:
        raise Damaged(f"cannot read metadata of the log: {error}") from error
