"""The write-ahead log of a Prometheus: what is in no block yet.

wal/checkpoint.N/{00000000…}, wal/{0000000N+1…}, wbl/ (out-of-order samples): segments of pages of 32 KiB
page      fragments: u8 type (0 rest is empty, 1 whole, 2 first, 3 middle, 4 last; +8 snappy, +16 zstd), u16 length,
          u32 CRC32C, data
series    1: each u64 reference, uvarint number of labels, name and value each uvarint length and bytes
deleted   3: each u64 reference, varint from, varint to
samples   2: u64 first reference, i64 first time, each varint difference of reference and of time from these, u64 bits
native    7, 9 (custom buckets): of integers, 8, 10: of floats; see histogram_chunk
source    Prometheus, tsdb/docs/format/wal.md; tsdb/wlog/reader.go, tsdb/record/record.go

A target's scrapes make records that differ in their times and values alone. So a record is compared, these blanked,
with the last one of its length: when it equals, its samples are gathered and not read.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

import cramjam
import google_crc32c
import numpy as np
import numpy.typing as npt
import zstandard

from watchkeeper.collect.tsdb.histogram_record import read_record
from watchkeeper.collect.tsdb.varints import uvarint, varint
from watchkeeper.model.errors import BadInput
from watchkeeper.model.frame import STALE_BITS, Floats, Times, clear_reserved, histogram_cells
from watchkeeper.model.histogram import Histogram

SERIES, SAMPLES, DELETED = 1, 2, 3
_INTEGERS, _FLOATS = (7, 9), (8, 10)
_PAGE = 32 << 10
_HEAD = struct.Struct(">BHI")
_SNAPPY, _ZSTD = 8, 16
_RECORD_BYTES_MAX = 256 << 20
_FIRST = struct.Struct(">Qq")
_LAYOUTS_MAX = 100_000
_VALUE_BYTES = np.arange(8)

Ints = npt.NDArray[np.int64]


class WalReader:
    """Reads a log from the beginning.

    series     reference → labels, as far as read
    deleted    closed ranges of time by reference
    damaged    records that could not be read: each ends the reading of its segment
    histograms  what cells of the samples that were given stand for
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.series: dict[int, dict[str, str]] = {}
        self.deleted: list[tuple[int, int, int]] = []
        self.histograms: list[Histogram] = []
        self.damaged = 0
        self._layouts: dict[int, tuple[bytes, Ints, Ints, Ints]] = {}

    def segments(self) -> list[Path]:
        """Give the files in the order in which they were written."""
        checkpoints = sorted(path for path in self._folder.glob("checkpoint.*") if path.suffix[1:].isdigit())
        numbered = sorted(path for path in self._folder.glob("[0-9]*") if path.name.isdigit())
        if not checkpoints:
            return numbered
        last = max(checkpoints, key=lambda path: int(path.suffix[1:]))
        inside = sorted(path for path in last.glob("[0-9]*") if path.name.isdigit())
        return inside + [path for path in numbered if int(path.name) > int(last.suffix[1:])]

    def samples(self, segment: Path) -> Iterator[tuple[Ints, Times, Floats]]:
        """Read a segment: series references, times and values of each record; new series go into `series`."""
        try:
            for record in _records(segment):
                if not record:
                    continue
                kind = record[0]
                if kind == SERIES:
                    self._read_series(record)
                elif kind == SAMPLES:
                    refs, times, values = self._read_samples(record)
                    clear_reserved(values)
                    yield refs, times, values
                elif kind == DELETED:
                    self._read_deleted(record)
                elif kind in _INTEGERS or kind in _FLOATS:
                    yield self._read_histograms(record, floats=kind in _FLOATS)
        except (BadInput, struct.error, IndexError):
            self.damaged += 1  # as Prometheus, which cuts the log here

    def _read_series(self, record: bytes) -> None:
        at = 1
        while at < len(record):
            (ref,) = struct.unpack_from(">Q", record, at)
            count, at = uvarint(record, at + 8)
            labels = {}
            for _ in range(count):
                size, at = uvarint(record, at)
                name = record[at : at + size].decode(errors="replace")
                size, at = uvarint(record, at + size)
                labels[name] = record[at : at + size].decode(errors="replace")
                at += size
            self.series[ref] = labels

    def _read_histograms(self, record: bytes, *, floats: bool) -> tuple[Ints, Times, Floats]:
        found = list(read_record(record, floats=floats))
        numbers = np.full(len(found), -1, np.int64)
        for at, (_, _, one) in enumerate(found):
            if one is not None:
                numbers[at] = len(self.histograms)
                self.histograms.append(one)
        bits = np.where(numbers < 0, np.uint64(STALE_BITS), histogram_cells(numbers).view(np.uint64))
        refs, times = (np.array([one[part] for one in found], np.int64) for part in (0, 1))
        return refs, times, bits.view(np.float64)

    def _read_deleted(self, record: bytes) -> None:
        at = 1
        while at < len(record):
            (ref,) = struct.unpack_from(">Q", record, at)
            start_ms, at = varint(record, at + 8)
            end_ms, at = varint(record, at)
            self.deleted.append((ref, start_ms, end_ms))

    def _read_samples(self, record: bytes) -> tuple[Ints, Times, Floats]:
        if len(record) < 1 + _FIRST.size:
            return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float64)
        known = self._layouts.get(len(record))
        if known is not None:
            skeleton, blanks, refs, shifts = known
            raw = np.frombuffer(bytearray(record), np.uint8)
            values = raw[blanks.reshape(-1, 8)].view(">u8")[:, 0].astype(np.uint64).view(np.float64)
            raw[blanks] = 0
            raw[9:17] = 0
            if raw.tobytes() == skeleton:
                return refs, _FIRST.unpack_from(record, 1)[1] + shifts, values
        return self._walk_samples(record)

    def _walk_samples(self, record: bytes) -> tuple[Ints, Times, Floats]:
        first_ref, first_ms = _FIRST.unpack_from(record, 1)
        at, end = 1 + _FIRST.size, len(record)
        refs: list[int] = []
        shifts: list[int] = []
        places: list[int] = []
        while at < end:
            step, at = varint(record, at)
            shift, at = varint(record, at)
            refs.append(first_ref + step)
            shifts.append(shift)
            places.append(at)
            at += 8
        if at > end:
            raise BadInput("cannot read a samples record: got one that is cut off")
        values_at = (np.array(places, np.int64)[:, None] + _VALUE_BYTES).ravel()
        raw = np.frombuffer(bytearray(record), np.uint8)
        values = raw[values_at.reshape(-1, 8)].view(">u8")[:, 0].astype(np.uint64).view(np.float64)
        raw[values_at] = 0
        raw[9:17] = 0
        series, moved = np.array(refs, np.int64), np.array(shifts, np.int64)
        if len(self._layouts) >= _LAYOUTS_MAX:
            self._layouts.clear()
        self._layouts[len(record)] = raw.tobytes(), values_at, series, moved
        return series, first_ms + moved, values


def _records(segment: Path) -> Iterator[bytes]:
    """Put the fragments of a segment together.

    raises  BadInput when one is damaged
    """
    data, at, parts, packing = segment.read_bytes(), 0, list[bytes](), 0
    while at + _HEAD.size <= len(data):
        if not data[at]:  # the rest of the page is empty
            at += _PAGE - at % _PAGE
            continue
        kind, length, check = _HEAD.unpack_from(data, at)
        content = data[at + _HEAD.size : at + _HEAD.size + length]
        if len(content) < length or google_crc32c.value(content) != check:
            raise BadInput(f"cannot read {segment}: bytes at {at} do not check out")
        at += _HEAD.size + length
        place, packing = kind & 7, kind & (_SNAPPY | _ZSTD)
        if place in (1, 2):
            parts = []
        parts.append(content)
        if place in (1, 4):
            yield _unpacked(b"".join(parts), packing)


def _unpacked(record: bytes, packing: int) -> bytes:
    try:
        if packing == _SNAPPY:
            return bytes(cramjam.snappy.decompress_raw(record))
        if packing == _ZSTD:
            return zstandard.ZstdDecompressor().decompress(record, max_output_size=_RECORD_BYTES_MAX)
    except (cramjam.DecompressionError, zstandard.ZstdError) as error:
        raise BadInput(f"cannot unpack a record: {error}") from None
    return record
