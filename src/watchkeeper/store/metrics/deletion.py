"""Deleted series: what `delete_series` was told, kept until no block holds any of it; read over by every query.

File  metrics/tombstones: twice "WKTOMBS1", u32 length, u32 CRC-32C (little endian), and that many bytes of JSON:
      [{"matchers": [[name, operator, value], …], "start_ms", "end_ms", "before"}, …]

It is there twice because a flipped bit must neither bring back what was deleted nor hide what was not.
"""

import contextlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import google_crc32c
import numpy as np
import numpy.typing as npt
import orjson
import structlog

from watchkeeper.model.errors import BadInput
from watchkeeper.model.frame import ABSENT, Floats, Times
from watchkeeper.model.labels import LabelTable
from watchkeeper.model.matchers import Matcher, match_table
from watchkeeper.model.metrics import counter
from watchkeeper.store.files import Files, write_whole

log = structlog.get_logger(__name__)

_MAGIC = b"WKTOMBS1"
_HEAD = struct.Struct("<8sII")

DAMAGED = counter("watchkeeper_tombstones_damaged", "Lists of what was deleted that did not check out in either copy.")


@dataclass(frozen=True, slots=True)
class Tombstone:
    """Samples that are gone: of the series that match, with start_ms <= time <= end_ms.

    before  blocks with this number or a later one were written without them
    """

    matchers: tuple[Matcher, ...]
    start_ms: int
    end_ms: int
    before: int

    def take_out(self, table: LabelTable, times: Times, values: Floats) -> bool:
        """Set what is deleted to ABSENT; say whether anything may have been.

        values  float64[len(table), len(times)]
        """
        low, high = int(times.searchsorted(self.start_ms)), int(times.searchsorted(self.end_ms, "right"))
        if low == high:
            return False
        chosen = np.flatnonzero(match_table(self.matchers, table))
        values[chosen, low:high] = ABSENT
        return bool(len(chosen))


class Tombstones:
    """All that was deleted and may still lie in a block. Changed by one thread, read by any."""

    def __init__(self, files: Files, path: str) -> None:
        self._files, self._path = files, path
        self._all: tuple[Tombstone, ...] = ()

    def all(self) -> tuple[Tombstone, ...]:
        return self._all

    def load(self) -> None:
        """Read the file; where neither copy checks out, it is set aside, counted and logged."""
        if self._path.rpartition("/")[2] not in self._files.listdir(self._path.rpartition("/")[0]):
            return
        fd = self._files.open(self._path)
        try:
            data = self._files.pread(fd, self._files.size(fd), 0)
        finally:
            self._files.close(fd)
        try:
            self._all = tuple(
                Tombstone(
                    tuple(Matcher(*matcher) for matcher in said["matchers"]),
                    said["start_ms"],
                    said["end_ms"],
                    said["before"],
                )
                for said in orjson.loads(_checked(data))
            )
        except (ValueError, KeyError, TypeError, BadInput) as error:
            DAMAGED.inc()
            log.warning("tombstones_damaged", path=self._path, error=str(error))
            with contextlib.suppress(OSError):
                self._files.rename(self._path, self._path + ".damaged")

    def set(self, tombstones: Sequence[Tombstone]) -> None:
        """Replace all; they are on the disk when this returns.

        raises  OSError; nothing is changed then
        """
        said = [
            {
                "matchers": [[one.name, one.op, one.value] for one in tombstone.matchers],
                "start_ms": tombstone.start_ms,
                "end_ms": tombstone.end_ms,
                "before": tombstone.before,
            }
            for tombstone in tombstones
        ]
        text = orjson.dumps(said)
        data = 2 * (_HEAD.pack(_MAGIC, len(text), google_crc32c.value(text)) + text)
        fd = self._files.open(self._path + ".tmp")
        try:
            self._files.ftruncate(fd, 0)
            write_whole(self._files, fd, data, 0)
            self._files.fdatasync(fd)
        finally:
            self._files.close(fd)
        self._files.rename(self._path + ".tmp", self._path)
        self._files.fsync_dir(self._path.rpartition("/")[0])
        self._all = tuple(tombstones)

    def concerning(self, number: int | None, start_ms: int, end_ms: int) -> list[Tombstone]:
        """Give those that a block of this number (None: the samples in memory) was written before."""
        return [
            one
            for one in self._all
            if one.start_ms <= end_ms and one.end_ms >= start_ms and (number is None or number < one.before)
        ]


def _checked(data: bytes) -> bytes:
    """Give the first copy that checks out.

    raises  ValueError when none does
    """
    at = data.find(_MAGIC)
    while at >= 0 and at + _HEAD.size <= len(data):
        _, length, check = _HEAD.unpack_from(data, at)
        text = data[at + _HEAD.size : at + _HEAD.size + length]
        if len(text) == length and google_crc32c.value(text) == check:
            return text
        at = data.find(_MAGIC, at + 1)
    raise ValueError("neither copy checks out")


def edit_of(tombstones: Sequence[Tombstone], table: LabelTable) -> "Deleting | None":
    """Give what takes the deleted samples out of columns of a table; None when none is concerned."""
    found = [(one, chosen) for one in tombstones if (chosen := match_table(one.matchers, table)).any()]
    return Deleting(found) if found else None


class Deleting:
    """See pack.Edit."""

    def __init__(self, found: Sequence[tuple[Tombstone, npt.NDArray[np.bool_]]]) -> None:
        self._found = found

    def __call__(self, columns: npt.NDArray[np.int32], times: Times, values: Floats) -> None:
        for one, chosen in self._found:
            low, high = int(times.searchsorted(one.start_ms)), int(times.searchsorted(one.end_ms, "right"))
            values[np.flatnonzero(chosen[columns]), low:high] = ABSENT
