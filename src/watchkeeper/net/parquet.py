"""Parquet files of a few flat columns, written row group by row group: what NumPy arrays need, and no more.

"PAR1"  row groups: of each column a chunk of pages  |  FileMetaData, u32 its length, "PAR1"
page    PageHeader, zstd of its values: plain; or, of texts, places in the dictionary page before, as runs
Headers are Thrift's compact protocol.
source  github.com/apache/parquet-format: README, Encodings, parquet.thrift
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import zstandard

from watchkeeper.net.protobuf import varint

MAGIC = b"PAR1"
_INT64, _DOUBLE, _BYTE_ARRAY = 2, 5, 6
_PLAIN, _RLE, _RLE_DICTIONARY = 0, 3, 8
_DATA_PAGE, _DICTIONARY_PAGE = 0, 2
_ZSTD = 6
_UTF8, _TIMESTAMP_MILLIS = 0, 9
_I32, _I64, _BINARY, _LIST, _STRUCT = 5, 6, 8, 9, 12
_LENGTH = struct.Struct("<I")
_SHORT_LIST_MAX = 15


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """A column of texts, most of which come in runs.

    distinct  each text once
    places    int[n]: which of them each row has
    """

    distinct: Sequence[str]
    places: npt.NDArray[np.integer]

    def __len__(self) -> int:
        return len(self.places)


Column = Texts | npt.NDArray[np.int64] | npt.NDArray[np.float64]


class ParquetWriter:
    """Writes into a file that is open.

    columns  name → what it holds: "text", "time" (int64, Unix milliseconds) or "number" (float64)
    """

    def __init__(self, file: BinaryIO, columns: Sequence[tuple[str, str]]) -> None:
        self._file, self._columns = file, tuple(columns)
        self._at = self._rows = 0
        self._groups: list[bytes] = []
        self._put(MAGIC)

    def write(self, columns: Sequence[Column]) -> None:
        """Write a row group: columns of one length, in the order in which they were declared."""
        (rows,) = {len(column) for column in columns}
        if not rows:
            return
        start = self._at
        chunks = [self._chunk(name, column) for (name, _), column in zip(self._columns, columns, strict=True)]
        told = _list(_STRUCT, chunks), _long(self._at - start), _long(rows)
        self._groups.append(_struct((1, _LIST, told[0]), (2, _I64, told[1]), (3, _I64, told[2])))
        self._rows += rows

    def finish(self) -> None:
        """Write what the file holds; nothing can be added then."""
        said = _struct(
            (1, _I32, _long(2)),
            (2, _LIST, _list(_STRUCT, self._schema())),
            (3, _I64, _long(self._rows)),
            (4, _LIST, _list(_STRUCT, self._groups)),
            (6, _BINARY, _text("watchkeeper")),
        )
        self._put(said + _LENGTH.pack(len(said)) + MAGIC)

    def _schema(self) -> list[bytes]:
        found = [_struct((4, _BINARY, _text("schema")), (5, _I32, _long(len(self._columns))))]
        for name, kind in self._columns:
            stored = {"text": _BYTE_ARRAY, "time": _INT64, "number": _DOUBLE}[kind]
            fields = [(1, _I32, _long(stored)), (3, _I32, _long(0)), (4, _BINARY, _text(name))]
            if kind != "number":
                fields.append((6, _I32, _long(_UTF8 if kind == "text" else _TIMESTAMP_MILLIS)))
            found.append(_struct(*fields))
        return found

    def _chunk(self, name: str, column: Column) -> bytes:
        start, plain, rows = self._at, 0, len(column)
        fields = []
        if isinstance(column, Texts):
            kind, encodings = _BYTE_ARRAY, [_PLAIN, _RLE, _RLE_DICTIONARY]
            content = b"".join(_LENGTH.pack(len(text)) + text for text in map(str.encode, column.distinct))
            plain += self._page(_DICTIONARY_PAGE, content, len(column.distinct), _PLAIN)
            fields = [(11, _I64, _long(start))]
            data_at = self._at
            plain += self._page(_DATA_PAGE, _runs(column), rows, _RLE_DICTIONARY)
        else:
            kind, encodings = (_INT64 if column.dtype == np.int64 else _DOUBLE), [_PLAIN]
            data_at = self._at
            plain += self._page(_DATA_PAGE, column.tobytes(), rows, _PLAIN)
        meta = _struct(
            (1, _I32, _long(kind)),
            (2, _LIST, _list(_I32, [_long(one) for one in encodings])),
            (3, _LIST, _list(_BINARY, [_text(name)])),
            (4, _I32, _long(_ZSTD)),
            (5, _I64, _long(rows)),
            (6, _I64, _long(plain)),
            (7, _I64, _long(self._at - start)),
            (9, _I64, _long(data_at)),
            *fields,
        )
        return _struct((2, _I64, _long(start)), (3, _STRUCT, meta))

    def _page(self, kind: int, content: bytes, values: int, encoding: int) -> int:
        """Write a page; gives its size before compression, header included."""
        packed = zstandard.ZstdCompressor(level=3).compress(content)
        own = [(1, _I32, _long(values)), (2, _I32, _long(encoding))]
        if kind == _DATA_PAGE:  # no column is optional or repeated: its levels take no bytes
            own += [(3, _I32, _long(_RLE)), (4, _I32, _long(_RLE))]
        header = _struct(
            (1, _I32, _long(kind)),
            (2, _I32, _long(len(content))),
            (3, _I32, _long(len(packed))),
            (5 if kind == _DATA_PAGE else 7, _STRUCT, _struct(*own)),
        )
        self._put(header + packed)
        return len(header) + len(content)

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self._at += len(data)


def _runs(column: Texts) -> bytes:
    """Write places as runs: how often, which; the width of the numbers before."""
    width = max(len(column.distinct) - 1, 1).bit_length()
    cuts = np.flatnonzero(np.diff(column.places)) + 1
    starts = np.concatenate([[0], cuts])
    lengths = np.diff(np.concatenate([starts, [len(column.places)]])).tolist()
    size = (width + 7) // 8
    runs = (
        varint(length << 1) + int(place).to_bytes(size, "little")
        for length, place in zip(lengths, column.places[starts].tolist(), strict=True)
    )
    return bytes([width]) + b"".join(runs)


def _long(number: int) -> bytes:
    return varint((number << 1) ^ (number >> 63))


def _text(text: str) -> bytes:
    data = text.encode()
    return varint(len(data)) + data


def _list(kind: int, items: Sequence[bytes]) -> bytes:
    short = len(items) < _SHORT_LIST_MAX
    head = bytes([len(items) << 4 | kind]) if short else bytes([0xF0 | kind]) + varint(len(items))
    return head + b"".join(items)


def _struct(*fields: tuple[int, int, bytes]) -> bytes:
    parts, last = [], 0
    for number, kind, content in fields:
        parts += [bytes([(number - last) << 4 | kind]), content]
        last = number
    return b"".join(parts) + b"\0"
