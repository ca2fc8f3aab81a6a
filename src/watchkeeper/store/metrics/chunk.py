"""Sealed rows of a frame: compressed groups of columns, read by column and by range of rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from watchkeeper.model.frame import ABSENT, ABSENT_BITS, STALE_BITS, Floats, Times
from watchkeeper.store.metrics.codec import GROUP_COLUMNS, decode, encode

Columns = npt.NDArray[np.int32]
MERGED_COLUMNS = 8  # a group of a merged chunk: few columns that nobody asked for are decoded
_MERGED_AT_ONCE = 64


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Some rows, never changed again.

    start_ms  time of the first row; `end_ms` of the last
    offsets   uint32[rows]: each row's time less start_ms
    columns   int32[n]: frame columns that have a sample or a staleness marker here, ascending
    groups    the values of `group_columns` columns each
    gaps      bool[n_groups]: whether any value of the group is ABSENT or STALE
    """

    start_ms: int
    end_ms: int
    offsets: npt.NDArray[np.uint32]
    columns: Columns
    groups: Sequence[bytes]
    gaps: npt.NDArray[np.bool_]
    size_bytes: int
    group_columns: int = GROUP_COLUMNS

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
        if not len(self.columns):
            out[:] = ABSENT
            return True
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
        width = self.group_columns
        first, last = int(slots[0]) // width, int(slots[-1]) // width
        if first == last:
            self._read_group(first, slots, low, high, out)
            return bool(self.gaps[first])
        bounds = np.searchsorted(slots, np.arange(first, last + 2) * width).tolist()
        gaps = False
        for group, start, end in zip(range(first, last + 1), bounds, bounds[1:], strict=False):
            if start < end:
                self._read_group(group, slots[start:end], low, high, out[start:end])
                gaps = gaps or bool(self.gaps[group])
        return gaps

    def _read_group(self, group: int, slots: npt.NDArray[np.integer], low: int, high: int, out: Floats) -> None:
        start = group * self.group_columns
        count, rows = min(self.group_columns, len(self.columns) - start), self.n_rows
        wanted = None if len(slots) == count else slots - start
        if high - low == rows:
            decode(self.groups[group], count, rows, wanted, out)
        else:
            out[:] = decode(self.groups[group], count, rows, wanted)[:, low:high]


def seal(times: Times, values: Floats) -> Chunk:
    """Compress rows.

    times   int64[rows], ascending, spanning less than 2**32 ms
    values  float64[rows, columns]: frame columns from 0
    """
    columns, gap = _occupied(values)
    by_column = np.ascontiguousarray(values.T) if len(columns) == values.shape[1] else values.T[columns]
    groups = encode(by_column, quick=True) if len(columns) else ()
    gaps = np.array(
        [gap[start : start + GROUP_COLUMNS].any() for start in range(0, len(columns), GROUP_COLUMNS)], np.bool_
    )
    return chunk_of(times, columns, groups, gaps, GROUP_COLUMNS)


def chunk_of(
    times: Times, columns: Columns, groups: Sequence[bytes], gaps: npt.NDArray[np.bool_], group_columns: int
) -> Chunk:
    """Put a chunk together; times span less than 2**32 ms."""
    offsets = (times - times[0]).astype(np.uint32)
    size = sum(map(len, groups)) + offsets.nbytes + columns.nbytes + 33 * len(groups) + 400
    return Chunk(int(times[0]), int(times[-1]), offsets, columns, tuple(groups), gaps, size, group_columns)


def split(chunk: Chunk, time_ms: int) -> tuple[Chunk, Chunk]:
    """Make two chunks of one, the second from a moment on; both have rows."""
    times, width = chunk.times(), int(chunk.columns.max(initial=-1)) + 1
    values = np.empty((width, chunk.n_rows))
    if width:
        chunk.read(np.arange(width, dtype=np.int32), 0, chunk.n_rows, values)
    at = int(times.searchsorted(time_ms))
    return seal(times[:at], values[:, :at].T), seal(times[at:], values[:, at:].T)


def merge(chunks: Sequence[Chunk]) -> Chunk:
    """Make one chunk of several that follow each other, spanning less than 2**32 ms.

    Longer columns in narrower groups: a quarter less to keep, and an eighth of the work to read one metric.
    Works on a few columns at a time, so that little memory is taken and other threads get their turn.
    """
    columns = np.unique(np.concatenate([chunk.columns for chunk in chunks]))
    times = np.concatenate([chunk.times() for chunk in chunks])
    ends = np.cumsum([chunk.n_rows for chunk in chunks]).tolist()
    groups: list[bytes] = []
    gaps: list[npt.NDArray[np.bool_]] = []
    for start in range(0, len(columns), _MERGED_AT_ONCE):
        wanted = columns[start : start + _MERGED_AT_ONCE]
        values = np.empty((len(wanted), len(times)))
        for chunk, end in zip(chunks, ends, strict=True):
            chunk.read(wanted, 0, chunk.n_rows, values[:, end - chunk.n_rows : end])
        bits = values.view(np.uint64)
        gap = ((bits == ABSENT_BITS) | (bits == STALE_BITS)).any(axis=1)
        gaps.append(np.logical_or.reduceat(gap, np.arange(0, len(wanted), MERGED_COLUMNS)))
        groups += encode(values, MERGED_COLUMNS)
    gapped = np.concatenate(gaps) if gaps else np.empty(0, np.bool_)
    return chunk_of(times, columns, groups, gapped, MERGED_COLUMNS)


def _occupied(values: Floats) -> tuple[Columns, npt.NDArray[np.bool_]]:
    """Give the columns that are not absent in all rows, and which of these have gaps."""
    if not np.isnan(values).any():
        return np.arange(values.shape[1], dtype=np.int32), np.zeros(values.shape[1], np.bool_)
    bits = values.view(np.uint64)
    absent = bits == ABSENT_BITS
    columns = np.flatnonzero(~absent.all(axis=0)).astype(np.int32)
    return columns, (absent | (bits == STALE_BITS))[:, columns].any(axis=0)
