"""A segment of a write-ahead log: records one after the other, then zeros up to the reserved size.

record   magic "wkR1", u32 CRC-32C of all that follows, u32 payload length, u16 kind, u16 zero, u64 sequence number,
         u64 segment id, i64 newest time in the payload (Unix ms), payload; integers little-endian
name     <number, 8 digits>-<segment id, 16 hex digits>.wal

The id is random, so that bytes of a payload never pass for a record when a damaged segment is searched for the next
good one. There is no file header: nothing in a segment is more precious than one record. docs/formats/wal.md says more.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import google_crc32c

from watchkeeper.store.files import Files

MAGIC = b"wkR1"
_HEADER = struct.Struct("<4sIIHHQQq")
HEADER_BYTES = _HEADER.size
_NAME = re.compile(r"(\d{8})-([0-9a-f]{16})\.wal")
_WINDOW_BYTES = 1 << 20
_PAGE_BYTES = 4096
_ZEROS = bytes(_WINDOW_BYTES)


@dataclass(frozen=True, slots=True)
class SegmentName:
    """Which segment of a log a file is."""

    number: int
    ident: int

    def __str__(self) -> str:
        return f"{self.number:08d}-{self.ident:016x}.wal"

    @classmethod
    def parse(cls, name: str) -> "SegmentName | None":
        """Read a file's name; None when it is no segment's."""
        found = _NAME.fullmatch(name)
        return cls(int(found[1]), int(found[2], 16)) if found else None


@dataclass(frozen=True, slots=True)
class Record:
    """One record as found in a segment; `end` is the offset after it."""

    kind: int
    payload: bytes
    sequence: int
    time_ms: int
    end: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Bytes of a segment that are no records: from `start` to `end`; `last` when no record follows."""

    start: int
    end: int
    last: bool


def encode(kind: int, payload: bytes, sequence: int, ident: int, time_ms: int) -> bytes:
    """Give a record's bytes."""
    head = _HEADER.pack(MAGIC, 0, len(payload), kind, 0, sequence, ident, time_ms)
    crc = google_crc32c.extend(google_crc32c.value(head[8:]), payload)
    return b"".join((MAGIC, crc.to_bytes(4, "little"), head[8:], payload))


def read_segment(files: Files, fd: int, ident: int) -> Iterator[Record | Gap]:
    """Give a segment's records in order, and the gaps between them, reading a window at a time."""
    window = Window(files, fd)
    at = 0
    while at < window.size:
        record = _record(window, at, ident)
        if record is not None:
            yield record
            at = record.end
            continue
        after = _find(window, at + 1, ident)
        yield Gap(at, window.size if after is None else after, after is None)
        at = window.size if after is None else after


def _record(window: "Window", at: int, ident: int) -> Record | None:
    head = window.read(at, HEADER_BYTES)
    if len(head) < HEADER_BYTES:
        return None
    magic, crc, length, kind, zero, sequence, owner, time_ms = _HEADER.unpack(head)
    if magic != MAGIC or owner != ident or zero or at + HEADER_BYTES + length > window.size:
        return None
    payload = window.read(at + HEADER_BYTES, length)
    if len(payload) < length or google_crc32c.extend(google_crc32c.value(head[8:]), payload) != crc:
        return None
    return Record(kind, payload, sequence, time_ms, at + HEADER_BYTES + length)


def _find(window: "Window", at: int, ident: int) -> int | None:
    """Give the offset of the next good record."""
    while at < window.size:
        data = window.read(at, _WINDOW_BYTES)
        if len(data) < HEADER_BYTES:
            return None
        if data == _ZEROS:  # the rest of a reserved segment: comparing is five times as fast as searching
            at += len(data) - len(MAGIC) + 1
            continue
        found = data.find(MAGIC)
        if found < 0:
            at += len(data) - len(MAGIC) + 1
            continue
        if _record(window, at + found, ident) is not None:
            return at + found
        at += found + 1
    return None


class Window:
    """A file read front to back through one buffer; a page that cannot be read counts as zeros."""

    def __init__(self, files: Files, fd: int) -> None:
        self._files, self._fd = files, fd
        self.size = files.size(fd)
        self._start, self._data = 0, b""
        self.unreadable_bytes = 0

    def read(self, at: int, length: int) -> bytes:
        """Give bytes from an offset; fewer only at the file's end."""
        length = min(length, self.size - at)
        skip = at - self._start
        if skip < 0 or skip + length > len(self._data):
            self._start, self._data, skip = at, self._load(at, max(length, _WINDOW_BYTES)), 0
        return self._data[skip : skip + length]

    def _load(self, at: int, length: int) -> bytes:
        try:
            return self._files.pread(self._fd, length, at)
        except OSError:
            end = min(at + length, self.size)
            return b"".join(self._page(start, min(_PAGE_BYTES, end - start)) for start in range(at, end, _PAGE_BYTES))

    def _page(self, at: int, length: int) -> bytes:
        try:
            return self._files.pread(self._fd, length, at).ljust(length, b"\0")
        except OSError:
            self.unreadable_bytes += length
            return bytes(length)


class Seen:
    """Which sequence numbers came by, as few intervals: a log without damage is one."""

    def __init__(self) -> None:
        self._spans: list[list[int]] = []

    @property
    def highest(self) -> int:
        return max((span[1] for span in self._spans), default=0)

    def add(self, number: int) -> bool:
        """Note a number; False when it was there already."""
        for at in range(len(self._spans) - 1, -1, -1):
            low, high = self._spans[at]
            if low <= number <= high:
                return False
            if number == high + 1:
                self._spans[at][1] = number
                return True
            if number > high:
                self._spans.insert(at + 1, [number, number])
                return True
        self._spans.insert(0, [number, number])
        return True

    def missing(self) -> int:
        """How many numbers lie between those seen."""
        ordered = sorted(self._spans)
        return sum(max(0, after[0] - before[1] - 1) for before, after in pairwise(ordered))
