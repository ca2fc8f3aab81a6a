r"""A block: samples of many frames in a stretch of time; a file, written once, never changed. docs/formats/blocks.md.

    "WKMETR1\n"  head  |  parts, one after the other  |  directory: zstd of JSON  |  the same again  |  footer
    head         i64 time of the first row, i64 of the last (Unix ms), u64 offset of the directory, u64 its length,
                 u32 its CRC32C, u32 CRC32C of the head before   (little endian, as all of it)
    footer       u64 length of the directory, u32 its CRC32C, u32 version, "WKMETEND"

The directory is there twice, and found from both ends: no single damaged place costs more than a part.

Parts are the groups of values of a frame's chunks (codec.py), the frame's chunk table, and label tables, each with its
own CRC32C, so that damage costs what it touches. The directory says which frames there are and where their parts lie;
a chunk table is read when its frame is first asked for, a group when its columns are.
"""

import struct
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import google_crc32c
import numpy as np
import numpy.typing as npt
import orjson
import structlog
import zstandard

from watchkeeper.model.errors import Damaged
from watchkeeper.model.labels import LabelTable, Symbols
from watchkeeper.store.files import Files, write_whole
from watchkeeper.store.metrics.chunk import Chunk

log = structlog.get_logger(__name__)

FILE_MAGIC = b"WKMETR1\n"
END_MAGIC = b"WKMETEND"
FOOTER = struct.Struct("<QII8s")
VERSION = 1
_FILE_HEAD = struct.Struct("<qqQQI")
_CHECK = struct.Struct("<I")
_PARTS_AT = len(FILE_MAGIC) + _FILE_HEAD.size + _CHECK.size
_HEAD = struct.Struct("<I")
_CHUNK = struct.Struct("<qqIIIIQ")  # start, end, rows, columns, groups, columns a group, offset of the first group
_PART_BYTES_MAX = 1 << 30
_WRITE_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Place:
    """Where a part lies in the file, and what its bytes must sum to."""

    offset: int
    length: int
    check: int


@dataclass(frozen=True, slots=True)
class BlockFrame:
    """A frame in a block.

    table  number of its label table in the block
    """

    source: str
    table: int
    chunks: Place
    first_ms: int
    last_ms: int
    samples: int


@dataclass(frozen=True, slots=True)
class BlockTable:
    """A label table in a block; `digest` is equal for equal tables of any block."""

    place: Place
    digest: str
    series: int


@dataclass(frozen=True, slots=True)
class Contents:
    """What a block says about itself.

    mark       rows in segments of the log before this one, older than `cutoff_ms`, are in blocks (this or older)
    replaces   numbers of the blocks that it was made of
    """

    mark: int
    cutoff_ms: int
    replaces: tuple[int, ...]
    tables: tuple[BlockTable, ...]
    frames: tuple[BlockFrame, ...]


class StoredGroups(Sequence[bytes]):
    """The groups of a chunk, read from the file one by one."""

    __slots__ = ("_checks", "_ends", "_file")

    def __init__(self, file: "BlockFile", ends: npt.NDArray[np.int64], checks: npt.NDArray[np.uint32]) -> None:
        self._file, self._ends, self._checks = file, ends, checks

    def __len__(self) -> int:
        return len(self._checks)

    def __getitem__(self, at: Any) -> Any:
        return self._file.part(self.place(at))

    def place(self, at: int) -> Place:
        """Say where a group lies."""
        start, end = int(self._ends[at]), int(self._ends[at + 1])
        return Place(start, end - start, int(self._checks[at]))


class BlockFile:
    """A block that is open for reading, from any thread; closed when nobody holds it any more."""

    __slots__ = ("__weakref__", "_fd", "_files", "path", "size_bytes")

    def __init__(self, files: Files, path: str) -> None:
        self._files, self.path = files, path
        self._fd = files.open(path)
        self.size_bytes = files.size(self._fd)
        weakref.finalize(self, files.close, self._fd)

    def part(self, place: Place) -> bytes:
        """Read a part.

        raises  Damaged when it cannot be read or does not check out
        """
        try:
            data = self._files.pread(self._fd, place.length, place.offset)
        except OSError as error:
            raise Damaged(f"cannot read block {self.path} at {place.offset}: {error.strerror or error}") from error
        if len(data) != place.length or google_crc32c.value(data) != place.check:
            raise Damaged(f"cannot read block {self.path} at {place.offset}: {place.length} bytes do not check out")
        return data

    def contents(self) -> Contents:
        """Read the directory.

        raises  Damaged when it does not check out, or is of a newer version
        """
        try:
            said = self._directory(self._behind())
        except Damaged:
            place = self._ahead()[2]
            if place is None:
                raise
            said = self._directory(place)
            log.warning("block_directory_damaged", path=self.path)
        return Contents(
            said["mark"],
            said["cutoff_ms"],
            tuple(said["replaces"]),
            tuple(BlockTable(Place(*row[:3]), row[3], row[4]) for row in said["tables"]),
            tuple(BlockFrame(row[0], row[1], Place(*row[2:5]), *row[5:]) for row in said["frames"]),
        )

    def reads_ahead(self) -> bool:
        """Say whether the head and the directory that it names check out."""
        place = self._ahead()[2]
        return place is not None and self._checks_out(place)

    def reads_behind(self) -> bool:
        """Say whether the footer and the directory before it check out."""
        try:
            return self._checks_out(self._behind())
        except Damaged:
            return False

    def _checks_out(self, place: Place) -> bool:
        try:
            return bool(self.part(place))
        except Damaged:
            return False

    def span(self) -> tuple[int, int] | None:
        """Give the times of the first and last row by the head alone; None when it does not check out."""
        first_ms, last_ms, place = self._ahead()
        return None if place is None else (first_ms, last_ms)

    def _ahead(self) -> tuple[int, int, Place | None]:
        try:
            head = self._files.pread(self._fd, _PARTS_AT, 0)[len(FILE_MAGIC) :]
        except OSError:
            return 0, 0, None
        if len(head) < _FILE_HEAD.size + _CHECK.size:
            return 0, 0, None
        if google_crc32c.value(head[: _FILE_HEAD.size]) != _CHECK.unpack_from(head, _FILE_HEAD.size)[0]:
            return 0, 0, None
        first_ms, last_ms, *place = _FILE_HEAD.unpack_from(head)
        return first_ms, last_ms, Place(*place)

    def _directory(self, place: Place) -> dict[str, Any]:
        said: dict[str, Any] = orjson.loads(_unpacked(self.part(place)))
        return said

    def _behind(self) -> Place:
        try:
            footer = self._files.pread(self._fd, FOOTER.size, max(0, self.size_bytes - FOOTER.size))
        except OSError as error:
            raise Damaged(f"cannot read block {self.path}: {error.strerror or error}") from error
        if len(footer) != FOOTER.size:
            raise Damaged(f"cannot read block {self.path}: got {self.size_bytes} bytes, want at least {FOOTER.size}")
        length, check, version, magic = FOOTER.unpack(footer)
        if magic != END_MAGIC:
            raise Damaged(f"cannot read block {self.path}: it has no end mark")
        if version > VERSION:
            raise Damaged(f"cannot read block {self.path}: got version {version}, want at most {VERSION}")
        if length > min(self.size_bytes - FOOTER.size, _PART_BYTES_MAX):
            raise Damaged(f"cannot read block {self.path}: its directory is longer than the file")
        return Place(self.size_bytes - FOOTER.size - length, length, check)

    def table(self, table: BlockTable, symbols: Symbols) -> LabelTable:
        """Read a label table.

        raises  Damaged when it does not check out
        """
        data = _unpacked(self.part(table.place))
        (length,) = _HEAD.unpack_from(data)
        said = orjson.loads(data[_HEAD.size : _HEAD.size + length])
        codes = np.array([0, *map(symbols.code, said["texts"])], np.int32)
        places = np.frombuffer(data, np.int32, offset=_HEAD.size + length)
        return LabelTable(tuple(said["names"]), codes[places].reshape(len(said["names"]), table.series), symbols)

    def chunks(self, frame: BlockFrame) -> tuple[Chunk, ...]:
        """Read a frame's chunk table.

        raises  Damaged when it does not check out
        """
        data = _unpacked(self.part(frame.chunks))
        (number,) = _HEAD.unpack_from(data)
        at = _HEAD.size + number * _CHUNK.size
        chunks = []
        for place in range(number):
            chunk, at = self._chunk(data, _CHUNK.unpack_from(data, _HEAD.size + place * _CHUNK.size), at)
            chunks.append(chunk)
        return tuple(chunks)

    def _chunk(self, data: bytes, said: tuple[int, ...], at: int) -> tuple[Chunk, int]:
        start_ms, end_ms, rows, columns, groups, width, offset = said
        offsets = np.frombuffer(data, np.uint32, rows, at)
        own = np.frombuffer(data, np.int32, columns, at := at + offsets.nbytes)
        sizes = np.frombuffer(data, np.uint32, groups, at := at + own.nbytes)
        checks = np.frombuffer(data, np.uint32, groups, at := at + sizes.nbytes)
        gaps = np.frombuffer(data, np.bool_, groups, at := at + checks.nbytes)
        ends = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]) + offset
        stored = StoredGroups(self, ends, checks)
        size = offsets.nbytes + own.nbytes + ends.nbytes + checks.nbytes + 500
        return Chunk(start_ms, end_ms, offsets, own, stored, gaps, size, width), at + groups


def _unpacked(data: bytes) -> bytes:
    size = zstandard.frame_content_size(data)
    if not 0 <= size <= _PART_BYTES_MAX:
        raise Damaged(f"cannot unpack a part: got {size} bytes, want at most {_PART_BYTES_MAX}")
    return zstandard.ZstdDecompressor().decompress(data)


@dataclass(slots=True)
class BlockWriter:
    """Writes a block, frame by frame, into a temporary file that gets its name when it is whole and on the disk."""

    files: Files
    path: str
    fd: int = -1
    offset: int = 0
    tables: dict[str, int] = field(default_factory=dict)
    _tables: list[BlockTable] = field(default_factory=list)
    _frames: list[BlockFrame] = field(default_factory=list)
    _waiting: list[bytes] = field(default_factory=list)
    _waiting_bytes: int = 0

    def __post_init__(self) -> None:
        self.fd = self.files.open(self.path + ".tmp")
        self.files.ftruncate(self.fd, 0)
        self._put(bytes(_PARTS_AT))

    def add(self, source: str, table: LabelTable, chunks: Sequence[Chunk], samples: int) -> None:
        """Write a frame.

        chunks   in order of time, columns as in the table
        samples  how many there are, staleness markers not counted
        raises   OSError when the disk does not take it
        """
        if not chunks:
            return
        number = self._table(table)
        place = self._put_packed(self._chunk_table(chunks))
        self._frames.append(BlockFrame(source, number, place, chunks[0].start_ms, chunks[-1].end_ms, samples))

    def finish(self, mark: int, cutoff_ms: int, replaces: Sequence[int] = ()) -> None:
        """Write the directory and give the file its name; it is on the disk then.

        raises  OSError when the disk does not take it
        """
        said = {
            "mark": mark,
            "cutoff_ms": cutoff_ms,
            "replaces": list(replaces),
            "tables": [[*_row(one.place), one.digest, one.series] for one in self._tables],
            "frames": [
                [one.source, one.table, *_row(one.chunks), one.first_ms, one.last_ms, one.samples]
                for one in self._frames
            ],
        }
        packed = zstandard.ZstdCompressor(level=3).compress(orjson.dumps(said))
        head = _FILE_HEAD.pack(
            min((one.first_ms for one in self._frames), default=0),
            max((one.last_ms for one in self._frames), default=0),
            self.offset,
            len(packed),
            google_crc32c.value(packed),
        )
        self._put(packed)
        self._put(packed)
        self._put(FOOTER.pack(len(packed), google_crc32c.value(packed), VERSION, END_MAGIC))
        self._flush()
        write_whole(self.files, self.fd, FILE_MAGIC + head + _CHECK.pack(google_crc32c.value(head)), 0)
        self.files.fdatasync(self.fd)
        self._close()
        self.files.rename(self.path + ".tmp", self.path)
        self.files.fsync_dir(self.path.rpartition("/")[0])

    def abandon(self) -> None:
        """Remove what was written; never raises."""
        try:
            self._close()
            self.files.unlink(self.path + ".tmp")
        except (OSError, KeyError):  # it is removed at the next start
            pass

    def _close(self) -> None:
        if self.fd >= 0:
            fd, self.fd = self.fd, -1
            self.files.close(fd)

    def _table(self, table: LabelTable) -> int:
        packed = pack_table(table)
        digest = blake2b(packed, digest_size=16).hexdigest()
        if digest not in self.tables:
            self.tables[digest] = len(self._tables)
            self._tables.append(BlockTable(self._put_packed(packed), digest, len(table)))
        return self.tables[digest]

    def _chunk_table(self, chunks: Sequence[Chunk]) -> bytes:
        heads, arrays = [], []
        for chunk in chunks:
            groups = list(chunk.groups)
            shape = (chunk.n_rows, len(chunk.columns), len(groups), chunk.group_columns)
            heads.append(_CHUNK.pack(chunk.start_ms, chunk.end_ms, *shape, self.offset))
            checks = np.array([google_crc32c.value(group) for group in groups], np.uint32)
            sizes = np.array([len(group) for group in groups], np.uint32)
            for group in groups:
                self._put(group)
            arrays += [chunk.offsets, chunk.columns, sizes, checks, chunk.gaps]
        return b"".join([_HEAD.pack(len(chunks)), *heads, *(array.tobytes() for array in arrays)])

    def _put_packed(self, data: bytes) -> Place:
        packed = zstandard.ZstdCompressor(level=3).compress(data)
        place = Place(self.offset, len(packed), google_crc32c.value(packed))
        self._put(packed)
        return place

    def _put(self, data: bytes) -> None:
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        self.offset += len(data)
        if self._waiting_bytes > _WRITE_BYTES:
            self._flush()

    def _flush(self) -> None:
        data = b"".join(self._waiting)
        write_whole(self.files, self.fd, data, self.offset - len(data))
        self._waiting, self._waiting_bytes = [], 0


def pack_table(table: LabelTable) -> bytes:
    """Give a label table's bytes, the same for the same series in the same order, whatever their codes are here."""
    rows = [at for at in np.argsort(np.array(table.names)) if table.codes[at].any()] if len(table.names) else []
    codes = table.codes[rows]
    distinct, places = np.unique(codes, return_inverse=True)
    texts = table.symbols.texts(distinct)
    order = sorted(range(len(texts)), key=texts.__getitem__)  # the empty text comes first: it is place 0
    rank = np.empty(len(texts), np.int32)
    rank[order] = np.arange(len(texts), dtype=np.int32) + (0 if 0 in distinct else 1)
    said = orjson.dumps({"names": [table.names[at] for at in rows], "texts": [texts[at] for at in order if texts[at]]})
    return _HEAD.pack(len(said)) + said + rank[places].astype(np.int32).tobytes()


def _row(place: Place) -> tuple[int, int, int]:
    return place.offset, place.length, place.check


def parts_of(file: BlockFile, contents: Contents) -> Iterator[tuple[str, Place]]:
    """List every part of a block with a name for people, for verifying."""
    for table in contents.tables:
        yield f"label table {table.digest}", table.place
    for frame in contents.frames:
        yield f"chunk table of {frame.source}", frame.chunks
        for chunk in file.chunks(frame):
            groups = chunk.groups
            assert isinstance(groups, StoredGroups)
            for at in range(len(groups)):
                yield f"values of {frame.source}", groups.place(at)
