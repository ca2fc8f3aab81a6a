r"""A file of sealed blocks with an index at its end; written once, never changed. Bytes in docs/formats/logs.md.

    "WKLOGS1\n"  the blocks, one after the other  |  index: zstd of JSON columns  |  footer
    footer       u64 length of the index, u32 its CRC32C, u32 version, "WKLOGEND"   (little endian)

When the index does not check out, the blocks are found again by their own headers.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import google_crc32c
import numpy as np
import orjson
import zstandard

from watchkeeper.model.errors import Damaged
from watchkeeper.model.labels import Labels
from watchkeeper.model.logs import TimesNs
from watchkeeper.store.logs.block import MAGIC, describe

FILE_MAGIC = b"WKLOGS1\n"
END_MAGIC = b"WKLOGEND"
FOOTER = struct.Struct("<QII8s")
VERSION = 1
_INDEX_BYTES_MAX = 256 << 20
_COLUMNS = ("stream", "first", "last", "lines", "bytes", "offset", "head", "size")


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """What a block file holds, one row a block.

    mark     lines logged before this mark of the write-ahead log, and not carried past it, are in files up to this one
    labels   the streams of the file
    columns  int64[n] each: stream (place in labels), first and last (ns), lines, bytes (of the lines), and offset,
             head (bytes without the text) and size (bytes) within the file
    """

    mark: int
    labels: Sequence[Labels]
    columns: Mapping[str, TimesNs]

    def __len__(self) -> int:
        return len(self.columns["offset"])


def build(mark: int, blocks: Sequence[bytes]) -> tuple[bytes, Index]:
    """Give the bytes of a file of these blocks, and its index."""
    offsets = np.cumsum([len(FILE_MAGIC), *map(len, blocks)])[:-1].tolist()
    index = _index(mark, [(offset, block) for offset, block in zip(offsets, blocks, strict=True)], "new file")
    packed = zstandard.ZstdCompressor(level=3).compress(
        orjson.dumps(
            {
                "mark": mark,
                "labels": [dict(each) for each in index.labels],
                **{name: index.columns[name].tolist() for name in _COLUMNS},
            }
        )
    )
    footer = FOOTER.pack(len(packed), google_crc32c.value(packed), VERSION, END_MAGIC)
    return b"".join([FILE_MAGIC, *blocks, packed, footer]), index


def index_length(footer: bytes, file_bytes: int, where: str) -> int:
    """Give how many bytes before the footer are the index.

    raises  Damaged when the footer is no footer; also for a version that is newer than this program
    """
    if len(footer) != FOOTER.size:
        raise Damaged(f"cannot read log file {where}: got {file_bytes} bytes, want at least {FOOTER.size}")
    length, _, version, magic = FOOTER.unpack(footer)
    if magic != END_MAGIC:
        raise Damaged(f"cannot read log file {where}: it has no end mark")
    if version > VERSION:
        raise Damaged(f"cannot read log file {where}: got version {version}, want at most {VERSION}")
    if length > file_bytes - FOOTER.size:
        raise Damaged(f"cannot read log file {where}: its index is longer than the file")
    return int(length)


def read_index(packed: bytes, footer: bytes, where: str) -> Index:
    """Read a file's index.

    raises  Damaged when it does not check out
    """
    _, check, _, _ = FOOTER.unpack(footer)
    if google_crc32c.value(packed) != check or not 0 <= zstandard.frame_content_size(packed) <= _INDEX_BYTES_MAX:
        raise Damaged(f"cannot read log file {where}: its index does not check out")
    said = orjson.loads(zstandard.ZstdDecompressor().decompress(packed))
    return Index(said["mark"], said["labels"], {name: np.array(said[name], np.int64) for name in _COLUMNS})


def scan(data: bytes, where: str) -> Index:
    """Find the blocks of a file whose index is damaged by their own headers; those that are damaged are left out.

    The mark is unknown then and given as 0: lines that are in the write-ahead log still are stored twice and shown
    once.
    """
    found: list[tuple[int, bytes]] = []
    place = data.find(MAGIC)
    while place >= 0:
        try:
            size = describe(data[place : place + (1 << 20)], where).total_bytes
        except Damaged:
            place = data.find(MAGIC, place + 1)
            continue
        if place + size <= len(data):
            found.append((place, data[place : place + size]))
        place = data.find(MAGIC, place + size)
    return _index(0, found, where)


def _index(mark: int, blocks: Sequence[tuple[int, bytes]], where: str) -> Index:
    places: dict[tuple[tuple[str, str], ...], int] = {}
    labels: list[Labels] = []
    rows = []
    for offset, block in blocks:
        said = describe(block, where)
        key = tuple(sorted(said.labels.items()))
        if key not in places:
            places[key] = len(labels)
            labels.append(said.labels)
        rows.append(
            (
                places[key],
                said.first_ns,
                said.last_ns,
                said.line_count,
                said.size_bytes,
                offset,
                said.head_bytes,
                len(block),
            )
        )
    table = np.array(rows, np.int64).reshape(len(rows), len(_COLUMNS))
    return Index(mark, labels, {name: table[:, at].copy() for at, name in enumerate(_COLUMNS)})
