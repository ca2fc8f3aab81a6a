"""A block of Prometheus: <ulid>/{meta.json, index, chunks/000001…, tombstones}.

index       u32 0xBAAAD700, u8 version; symbols; series, 16-byte aligned; more; last 52 bytes: six u64 offsets, CRC32C
symbols     u32 length, u32 number, each uvarint length and bytes, u32 CRC32C
series      uvarint length; uvarint number of labels, each two uvarint symbols (version 1: offsets into the index);
            uvarint number of chunks: varint first time, uvarint span, uvarint reference; then differences; u32 CRC32C
chunks      u32 0x85BD40DD, u8 version, 3 bytes; chunks: uvarint length, u8 encoding, data, u32 CRC32C
reference   file number from 0 in the upper 32 bits, offset in the lower
tombstones  u32 0x0130BA30, u8 version, entries: uvarint series (offset / 16), varint from, varint to; u32 CRC32C
source      Prometheus, tsdb/docs/format/{index,chunks,tombstones}.md
"""

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import numpy as np
import numpy.typing as npt
import orjson

from watchkeeper.collect.tsdb.varints import all_uvarints, unzigzag, uvarint, varint
from watchkeeper.model.errors import BadInput
from watchkeeper.model.labels import Labels

XOR, HISTOGRAM, FLOAT_HISTOGRAM = 1, 2, 3
_INDEX_MAGIC, _CHUNKS_MAGIC, _TOMBSTONES_MAGIC = b"\xba\xaa\xd7\x00", b"\x85\xbd\x40\xdd", b"\x01\x30\xba\x30"
_TOC = struct.Struct(">6Q")
_U32 = struct.Struct(">I")
_ALIGN = 16

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Meta:
    """What meta.json says.

    end_ms   one past the last sample
    parents  blocks that this one was made of
    late     it holds samples that came out of order: newer ones may be in the log alone
    """

    ulid: str
    start_ms: int
    end_ms: int
    samples: int
    series: int
    parents: frozenset[str]
    late: bool


@dataclass(frozen=True, slots=True)
class IndexedSeries:
    """A series as the index has it.

    number  by which tombstones name it
    refs    int64[n_chunks]
    """

    number: int
    labels: Labels
    refs: Ints
    start_ms: Ints
    end_ms: Ints


class Block:
    """A block that is open for reading.

    raises  BadInput when it is none
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.meta = folder, read_meta(folder)
        self._index = _mapped(folder / "index")
        self._chunks = [_mapped(path) for path in sorted((folder / "chunks").glob("[0-9]*"))]
        self._version = self._index[4] if len(self._index) > 4 else 0
        if self._index[:4] != _INDEX_MAGIC or self._version not in (1, 2) or len(self._index) < _TOC.size + 9:
            raise BadInput(f"cannot read {folder}/index: got no index of version 1 or 2")
        toc = self._index[-_TOC.size - 4 :]
        _check(toc[: _TOC.size], toc[_TOC.size :], f"{folder}/index", len(self._index))
        places = _TOC.unpack_from(toc)
        self._symbols = self._read_symbols(places[0])
        self._first = places[1]
        self._end = min([place for place in places if place > self._first], default=len(self._index) - len(toc))
        for at, data in enumerate(self._chunks):
            if data[:4] != _CHUNKS_MAGIC:
                raise BadInput(f"cannot read {folder}/chunks: file {at + 1} has no chunks")

    def series(self) -> Iterator[IndexedSeries]:
        """Give all series in the order of the index, which is that of their labels.

        raises  BadInput when the index is damaged
        """
        index, at = self._index, self._first
        while at < self._end:
            at += -at % _ALIGN
            if at >= self._end or not index[at]:
                break
            length, start = uvarint(index[at : at + 10], 0)
            start += at
            content = index[start : start + length]
            _check(content, index[start + length : start + length + 4], f"{self.folder}/index", at)
            yield self._parse(at // _ALIGN if self._version == 2 else at, content)
            at = start + length + 4

    def chunk(self, ref: int) -> tuple[int, bytes]:
        """Give a chunk's encoding and bytes.

        raises  BadInput when it is damaged
        """
        number, at = ref >> 32, ref & 0xFFFFFFFF
        if number >= len(self._chunks):
            raise BadInput(f"cannot read {self.folder}/chunks: got a reference to file {number + 1}, want a file")
        data = self._chunks[number]
        length, start = uvarint(data[at : at + 10], 0)
        start += at
        content = data[start : start + 1 + length]
        _check(content, data[start + 1 + length : start + 5 + length], f"{self.folder}/chunks", at)
        return content[0], content[1:]

    def tombstones(self) -> dict[int, list[tuple[int, int]]]:
        """Give what was deleted: closed ranges of time by series number.

        raises  BadInput when the file is damaged
        """
        path, found = self.folder / "tombstones", dict[int, list[tuple[int, int]]]()
        if not path.exists():
            return found
        data = path.read_bytes()
        if data[:4] != _TOMBSTONES_MAGIC:
            raise BadInput(f"cannot read {path}: got no tombstones")
        at, content = 0, data[5:-4]
        _check(content, data[-4:], str(path), 5)
        while at < len(content):
            number, at = uvarint(content, at)
            start_ms, at = varint(content, at)
            end_ms, at = varint(content, at)
            found.setdefault(number, []).append((start_ms, end_ms))
        return found

    def close(self) -> None:
        """Let go of the files."""
        for data in (self._index, *self._chunks):
            if isinstance(data, mmap.mmap):
                data.close()

    def _read_symbols(self, at: int) -> dict[int, str] | list[str]:
        (length,) = _U32.unpack_from(self._index, at)
        content = self._index[at + 4 : at + 4 + length]
        _check(content, self._index[at + 4 + length : at + 8 + length], f"{self.folder}/index", at)
        (count,) = _U32.unpack_from(content)
        texts, places, here = [], [], 4
        for _ in range(count):
            places.append(at + 4 + here)
            size, here = uvarint(content, here)
            texts.append(content[here : here + size].decode(errors="replace"))
            here += size
        return texts if self._version == 2 else dict(zip(places, texts, strict=True))

    def _parse(self, number: int, content: bytes) -> IndexedSeries:
        numbers = all_uvarints(content)
        n_labels = int(numbers[0])
        refs = numbers[1 : 1 + 2 * n_labels].tolist()
        try:
            texts = [self._symbols[ref] for ref in refs]
        except (IndexError, KeyError):
            raise BadInput(f"cannot read {self.folder}/index: got a reference to no symbol") from None
        labels = dict(zip(texts[::2], texts[1::2], strict=True))
        chunks = numbers[1 + 2 * n_labels :]
        n_chunks = int(chunks[0]) if len(chunks) else 0
        if len(chunks) != 1 + 3 * n_chunks or n_chunks == 0:
            return IndexedSeries(number, labels, *(np.empty(0, np.int64),) * 3)
        starts, spans, places = chunks[1:].reshape(-1, 3).T.copy()
        starts[0] = unzigzag(starts[:1])[0]
        places[1:] = unzigzag(places[1:])
        # Each begins a difference after the one before ended.
        starts = np.cumsum(starts + np.concatenate([[0], spans[:-1]]))
        return IndexedSeries(number, labels, np.cumsum(places), starts, starts + spans)


def read_meta(folder: Path) -> Meta:
    """Read meta.json.

    raises  BadInput when it is none
    """
    try:
        said = orjson.loads((folder / "meta.json").read_bytes())
        stats, compaction = said.get("stats") or {}, said.get("compaction") or {}
        parents = frozenset(one["ulid"] for one in compaction.get("parents") or ())
        samples, series = int(stats.get("numSamples", 0)), int(stats.get("numSeries", 0))
        late = "from-out-of-order" in (compaction.get("hints") or ())
        return Meta(said["ulid"], int(said["minTime"]), int(said["maxTime"]), samples, series, parents, late)
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"cannot read {folder}/meta.json: {error!r}") from None


def find_blocks(data: Path) -> list[Path]:
    """Give the folders of a data directory's blocks, oldest first, without those that others were made of.

    raises  BadInput when a meta.json cannot be read
    """
    folders = [path.parent for path in data.glob("*/meta.json") if not path.parent.name.startswith((".", "tmp"))]
    metas = {folder: read_meta(folder) for folder in folders if not folder.name.endswith((".tmp-for-creation", ".tmp"))}
    replaced = {parent for meta in metas.values() for parent in meta.parents}
    left = [folder for folder, meta in metas.items() if meta.ulid not in replaced]
    return sorted(left, key=lambda folder: (metas[folder].start_ms, folder.name))


def _mapped(path: Path) -> mmap.mmap | bytes:
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot read {path}: {error}") from None


def _check(content: bytes, check: bytes, path: str, at: int) -> None:
    if len(check) != 4 or google_crc32c.value(content) != _U32.unpack(check)[0]:
        raise BadInput(f"cannot read {path}: bytes at {at} do not check out")
