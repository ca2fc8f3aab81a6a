"""Sealed rows of a frame: compressed groups of columns, read by column and by range of rows."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from watchkeeper.model.frame import ABSENT, ABSENT_BITS, STALE_BITS, Floats, Times
from watchkeeper.store.metrics.codec import GROUP_COLUMNS, decode, encode

Columns = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Some rows, never changed again.

    start_ms  time of the first row; `end_ms` of the last
    offsets   uint32[rows]: each row's time less start_ms
    columns   int32[n]: frame columns that have a sample or a staleness marker here, ascending
    groups    the values of GROUP_COLUMNS columns each
    gaps      bool[n_groups]: whether any value of the group is ABSENT or STALE
    """

    start_ms: int
    end_ms: int
    offsets: npt.NDArray[np.uint32]
    columns: Columns
    groups: tuple[bytes, ...]
    gaps: npt.NDArray[np.bool_]
    size_bytes: int

    @property
    def n_rows(self) -> int:
        return len(self.offsets)

    def times(self) -> Times:
        """Give int64[rows]."""
        return self.offsets.astype(np.int64) + self.start_ms

    def read(self, wanted: Columns, low: int, high: int, out: Floats) -> bool:
        """Copy rows low…high of some frame columns.

        wanted   ascending, at least one
        out      float64[len(wanted), high - low], overwritten; ABSENT where a column is not in the chunk
        returns  whether anything written is ABSENT or STALE (perhaps, when True)
        """
        if wanted[-1] < len(self.columns) and self.columns[-1] == len(self.columns) - 1:  # no column is missing
            return self._read_slots(wanted, low, high, out)
        slots = np.searchsorted(self.columns, wanted)
        slots[slots == len(self.columns)] = 0
        here = self.columns[slots] == wanted
        if here.all():
            return self._read_slots(slots, low, high, out)
        out[:] = ABSENT
        if here.any():
            found = np.empty((int(here.sum()), high - low))
            self._read_slots(slots[here], low, high, found)
            out[here] = found
        return True

    def _read_slots(self, slots: npt.NDArray[np.integer], low: int, high: int, out: Floats) -> bool:
        first, last = int(slots[0]) // GROUP_COLUMNS, int(slots[-1]) // GROUP_COLUMNS
        if first == last:
            out[:] = self._group(first, slots)[:, low:high]
            return bool(self.gaps[first])
        bounds = np.searchsorted(slots, np.arange(first, last + 2) * GROUP_COLUMNS).tolist()
        gaps = False
        for group, start, end in zip(range(first, last + 1), bounds, bounds[1:], strict=False):
            if start < end:
                out[start:end] = self._group(group, slots[start:end])[:, low:high]
                gaps = gaps or bool(self.gaps[group])
        return gaps

    def _group(self, group: int, slots: npt.NDArray[np.integer]) -> Floats:
        start = group * GROUP_COLUMNS
        count = min(GROUP_COLUMNS, len(self.columns) - start)
        return decode(self.groups[group], count, self.n_rows, None if len(slots) == count else slots - start)


def seal(times: Times, values: Floats) -> Chunk:
    """Compress rows.

    times   int64[rows], ascending, spanning less than 2**32 ms
    values  float64[rows, columns]: frame columns from 0
    """
    columns, gap = _occupied(values)
    by_column = np.ascontiguousarray(values.T) if len(columns) == values.shape[1] else values.T[columns]
    groups = encode(by_column) if len(columns) else ()
    gaps = np.array(
        [gap[start : start + GROUP_COLUMNS].any() for start in range(0, len(columns), GROUP_COLUMNS)], np.bool_
    )
    offsets = (times - times[0]).astype(np.uint32)
    size = sum(map(len, groups)) + offsets.nbytes + columns.nbytes + 33 * len(groups) + 400
    return Chunk(int(times[0]), int(times[-1]), offsets, columns, groups, gaps, size)


def _occupied(values: Floats) -> tuple[Columns, npt.NDArray[np.bool_]]:
    """Give the columns that are not absent in all rows, and which of these have gaps."""
    if not np.isnan(values).any():
        return np.arange(values.shape[1], dtype=np.int32), np.zeros(values.shape[1], np.bool_)
    bits = values.view(np.uint64)
    absent = bits == ABSENT_BITS
    columns = np.flatnonzero(~absent.all(axis=0)).astype(np.int32)
    return columns, (absent | (bits == STALE_BITS))[:, columns].any(axis=0)
