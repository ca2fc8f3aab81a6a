"""One growing file: lines since the last time, through rotation, truncation and restarts.

A place in a file is device, inode, offset and a checksum of the file's first bytes: together they tell a file that
grew from one that was rewritten, or whose inode was given to another.
"""

import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import orjson

from watchkeeper.collect.logs.stages import is_partial, joined_partials
from watchkeeper.model.metrics import counter

_CUT = counter("watchkeeper_log_tail_lines_cut", "Lines of files that were longer than the limit, and were cut.")
_TRUNCATED = counter("watchkeeper_log_tail_truncations", "Files that were found shorter, or rewritten.")

_HEAD_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Position:
    """How far a file was read.

    head_bytes  how many first bytes head_crc is of
    skipping    the place is inside a line that was cut
    """

    device: int
    inode: int
    offset: int = 0
    head_bytes: int = 0
    head_crc: int = 0
    skipping: bool = False

    def encode(self) -> bytes:
        """Write it for keeping."""
        return orjson.dumps([self.device, self.inode, self.offset, self.head_bytes, self.head_crc, self.skipping])

    @classmethod
    def decode(cls, kept: bytes) -> "Position | None":
        """Read it; None when it is not one."""
        try:
            device, inode, offset, head_bytes, head_crc, skipping = orjson.loads(kept)
            return cls(int(device), int(inode), int(offset), int(head_bytes), int(head_crc), bool(skipping))
        except (ValueError, TypeError):
            return None


@dataclass(frozen=True, slots=True)
class Chunk:
    """Lines of a file, and the place behind them."""

    lines: Sequence[bytes]
    position: Position
    read_bytes: int


class TailedFile:
    """An open file. Reading does not move its place: `accept` does, when the lines are safe."""

    def __init__(self, path: str, position: Position | None = None) -> None:
        self.path = path
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        found = os.fstat(self._fd)
        self.position = Position(found.st_dev, found.st_ino)
        if position is not None and self._is_same(position):
            self.position = position

    @property
    def identity(self) -> tuple[int, int]:
        """Device and inode."""
        return self.position.device, self.position.inode

    @property
    def size(self) -> int:
        """Bytes in the file now."""
        return os.fstat(self._fd).st_size

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._fd)

    def read(
        self, chunk_bytes: int, line_bytes_max: int, *, joins_partials: bool = False, final: bool = False
    ) -> Chunk | None:
        """Give the next whole lines, None when there are none.

        final   nothing will be added any more: a last line without newline counts
        raises  OSError when the file cannot be read
        """
        place = self._checked()
        data = os.pread(self._fd, chunk_bytes, place.offset)
        if not data:
            return None if place is self.position else Chunk([], place, 0)
        lines, used, skipping = _cut(data, line_bytes_max, place.skipping, final=final and len(data) < chunk_bytes)
        if joins_partials:
            lines, used = _joined(lines, used, line_bytes_max, final=final)
        if not used and place is self.position:
            return None
        moved = replace(place, offset=place.offset + used, skipping=skipping)
        return Chunk(lines, self._with_head(moved), used)

    def accept(self, position: Position) -> None:
        """Move on: what was read is kept."""
        self.position = position

    def _checked(self) -> Position:
        """Give the place to read on from; the beginning when the file was truncated or rewritten."""
        if self.position.offset == 0 or (self.size >= self.position.offset and self._is_same(self.position)):
            return self.position
        _TRUNCATED.inc()
        return Position(self.position.device, self.position.inode)

    def _is_same(self, position: Position) -> bool:
        found = os.fstat(self._fd)
        if (found.st_dev, found.st_ino) != (position.device, position.inode) or found.st_size < position.offset:
            return False
        return zlib.crc32(os.pread(self._fd, position.head_bytes, 0)) == position.head_crc

    def _with_head(self, position: Position) -> Position:
        length = min(position.offset, _HEAD_BYTES)
        if length == position.head_bytes:
            return position
        return replace(position, head_bytes=length, head_crc=zlib.crc32(os.pread(self._fd, length, 0)))


def _cut(data: bytes, line_bytes_max: int, skipping: bool, *, final: bool) -> tuple[list[bytes], int, bool]:
    """Split bytes into whole lines: the lines, how many bytes they took, and whether a cut line goes on."""
    start = 0
    if skipping:
        newline = data.find(b"\n")
        if newline < 0:
            return [], len(data), True
        start = newline + 1
    end = data.rfind(b"\n") + 1
    rest = len(data) - max(start, end)
    if end > start:
        lines = data[start : end - 1].split(b"\n")
        used, goes_on = end, False
    else:
        lines, used, goes_on = [], start, False
    if rest and (final or (rest >= line_bytes_max and not lines)):
        lines.append(data[used:])
        used, goes_on = len(data), not final
    return [_tidy(line, line_bytes_max) for line in lines if line and line != b"\r"], used, goes_on


def _tidy(line: bytes, line_bytes_max: int) -> bytes:
    if len(line) > line_bytes_max:
        _CUT.inc()
        line = line[:line_bytes_max]
    return line.removesuffix(b"\r")


def _joined(lines: list[bytes], used: int, bytes_max: int, *, final: bool) -> tuple[list[bytes], int]:
    """Put split CRI lines together; parts at the end whose last part is still to come are left for the next time."""
    out: list[bytes] = []
    parts: list[bytes] = []
    for line in lines:
        parts.append(line)
        if not is_partial(line) or sum(map(len, parts)) > bytes_max:
            out.append(joined_partials(parts) if len(parts) > 1 else line)
            parts = []
    if parts and final:
        out.append(joined_partials(parts))
        parts = []
    return out, used - sum(len(part) + 1 for part in parts)
