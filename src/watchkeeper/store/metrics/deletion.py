"""Deleted series: what `delete_series` was told, kept until no block holds any of it; read over by every query.

File  metrics/tombstones: JSON [{"matchers": [[name, operator, value], …], "start_ms", "end_ms", "before"}, …]
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import orjson
import structlog

from watchkeeper.model.errors import BadInput
from watchkeeper.model.frame import ABSENT, Floats, Times
from watchkeeper.model.labels import LabelTable
from watchkeeper.model.matchers import Matcher, match_table
from watchkeeper.store.files import Files

log = structlog.get_logger(__name__)


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
        """Read the file; what cannot be read is logged and left where it is."""
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
                for said in orjson.loads(data or b"[]")
            )
        except (ValueError, KeyError, TypeError, BadInput) as error:
            log.warning("tombstones_damaged", path=self._path, error=str(error))

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
        data, done = orjson.dumps(said), 0
        fd = self._files.open(self._path + ".tmp")
        try:
            self._files.ftruncate(fd, 0)
            while done < len(data):
                done += self._files.pwrite(fd, data[done:], done)
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
