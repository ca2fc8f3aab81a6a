"""A frame's rows in time order: sealed chunks, then open rows in a matrix that grows downwards.

Readers hold a `StripView`: what they see of the open matrix is only ever changed from ABSENT to a value.
"""

from dataclasses import dataclass

import numpy as np

from watchkeeper.model.frame import ABSENT, ABSENT_BITS, Floats, Times, is_absent, is_stale
from watchkeeper.store.metrics.chunk import Chunk, Columns, seal

_KEPT_ROWS = 8  # stay open after sealing, for rows that come a little late
_SPAN_MS_MAX = (1 << 32) - 1


@dataclass(frozen=True, slots=True, eq=False)
class StripView:
    """A strip as it was at one moment.

    times   int64[rows] of the open rows
    values  float64[rows or more, columns] of the open rows; frame columns beyond its width are absent
    """

    chunks: tuple[Chunk, ...]
    times: Times
    values: Floats

    def read(self, wanted: Columns, start_ms: int, end_ms: int) -> tuple[Times, Floats, bool]:
        """Give the rows in a closed range of time: times, float64[len(wanted), rows], whether there may be gaps."""
        pieces = [chunk for chunk in self.chunks if chunk.start_ms <= end_ms and chunk.end_ms >= start_ms]
        bounds = [_bounds(chunk.times(), start_ms, end_ms) for chunk in pieces]
        low, high = np.searchsorted(self.times, start_ms), np.searchsorted(self.times, end_ms, "right")
        counts = [len(times) for times, _, _ in bounds] + [int(high - low)]
        out = np.empty((len(wanted), sum(counts)), np.float64)
        gaps, at = False, 0
        for chunk, (times, first, last) in zip(pieces, bounds, strict=True):
            gaps = chunk.read(wanted, first, last, out[:, at : at + len(times)]) or gaps
            at += len(times)
        if high > low:
            gaps = self._read_open(wanted, int(low), int(high), out[:, at:]) or gaps
        return np.concatenate([*(times for times, _, _ in bounds), self.times[low:high]]), out, gaps

    def _read_open(self, wanted: Columns, low: int, high: int, out: Floats) -> bool:
        width = self.values.shape[1]
        known = wanted < width
        if known.all():
            out[:] = self.values[low:high, wanted].T
        else:
            out[:] = ABSENT
            out[known] = self.values[low:high, wanted[known]].T
        return bool((is_absent(out) | is_stale(out)).any())


def _bounds(times: Times, start_ms: int, end_ms: int) -> tuple[Times, int, int]:
    low, high = int(np.searchsorted(times, start_ms)), int(np.searchsorted(times, end_ms, "right"))
    return times[low:high], low, high


class Strip:
    """The writing side. `sealed_ms` is the time up to which (inclusive) no row can be added any more.

    chunk_rows  rows of a chunk; `first_rows` of the first one
    """

    def __init__(self, chunk_rows: int, first_rows: int) -> None:
        self._chunk_rows = chunk_rows
        self.chunks: tuple[Chunk, ...] = ()
        self.sealed_ms = -(1 << 63)
        self._rows = 0
        self._times = np.empty(0, np.int64)
        self._values = np.empty((0, 0), np.float64)
        self._seal_at = first_rows + _KEPT_ROWS
        self._first_ms = self._newest_ms = 0

    def view(self) -> StripView:
        """Give what readers may see now."""
        return StripView(self.chunks, self._times[: self._rows], self._values)

    @property
    def open_bytes(self) -> int:
        return self._values.nbytes

    def takes(self, time_ms: int) -> bool:
        """Say whether a row of this time can still be added."""
        return time_ms > self.sealed_ms and (not self._rows or self._newest_ms - time_ms <= _SPAN_MS_MAX)

    def put(self, time_ms: int, columns: Columns | None, values: Floats, width: int) -> None:
        """Add samples to the row of a time, making the row when there is none.

        columns  frame column of each value; None: columns 0…len(values)
        values   ABSENT leaves what is there
        width    columns of the frame
        """
        if self._rows and time_ms <= self._newest_ms:
            self._merge(time_ms, columns, values, width)
            return
        if self._rows and (self._rows >= self._seal_at or time_ms - self._first_ms > _SPAN_MS_MAX):
            self.seal(self._rows - _KEPT_ROWS if self._rows > _KEPT_ROWS else self._rows)
            if self._rows and time_ms - self._first_ms > _SPAN_MS_MAX:
                self.seal(self._rows)
        if self._rows == len(self._times) or self._values.shape[1] < width:
            self._grow(width)
        row = self._values[self._rows]
        if columns is None:
            row[: len(values)] = values
            row[len(values) :] = ABSENT
        else:
            row[:] = ABSENT
            row[columns] = values
        if not self._rows:
            self._first_ms = time_ms
        self._times[self._rows] = self._newest_ms = time_ms
        self._rows += 1

    def value_at(self, time_ms: int, columns: Columns) -> Floats:
        """Give the values stored at one moment, ABSENT where there are none."""
        times, values, _ = self.view().read(columns, time_ms, time_ms)
        return values[:, 0] if len(times) else np.full(len(columns), ABSENT)

    def seal(self, rows: int) -> None:
        """Compress the oldest open rows."""
        if not rows:
            return
        chunk = seal(self._times[:rows], self._values[:rows])
        self.chunks = (*self.chunks, chunk)
        self.sealed_ms = chunk.end_ms
        self._seal_at = self._chunk_rows + _KEPT_ROWS
        left, times, values = self._rows - rows, self._times[rows : self._rows], self._values[rows : self._rows]
        capacity = self._seal_at if left else 0
        self._times, self._values = np.empty(capacity, np.int64), np.empty((capacity, values.shape[1]))
        self._times[:left], self._values[:left] = times, values
        self._rows = left
        if left:
            self._first_ms = int(times[0])

    def seal_all(self) -> None:
        """Compress every open row."""
        self.seal(self._rows)

    def drop_before(self, time_ms: int) -> bool:
        """Let go of chunks that are wholly older; say whether any went."""
        kept = tuple(chunk for chunk in self.chunks if chunk.end_ms >= time_ms)
        dropped = len(kept) < len(self.chunks)
        self.chunks = kept
        return dropped

    @property
    def open_rows(self) -> int:
        return self._rows

    @property
    def newest_ms(self) -> int:
        return self._newest_ms

    def _grow(self, width: int) -> None:
        """Make room for another row, or for more columns; readers keep the old matrix."""
        capacity = len(self._times)
        if self._rows == capacity:
            capacity = max(min(max(2 * capacity, 8), self._seal_at), self._rows + 1)
        times, values = np.empty(capacity, np.int64), np.empty((capacity, max(width, self._values.shape[1])))
        times[: self._rows] = self._times[: self._rows]
        old = self._values.shape[1]
        values[: self._rows, :old] = self._values[: self._rows]
        values[: self._rows, old:] = ABSENT
        self._times, self._values = times, values

    def _merge(self, time_ms: int, columns: Columns | None, values: Floats, width: int) -> None:
        at = int(np.searchsorted(self._times[: self._rows], time_ms))
        if self._times[at] != time_ms:
            self._insert(at, time_ms)
        if self._values.shape[1] < width:
            self._grow(width)
        where = np.arange(len(values), dtype=np.int32) if columns is None else columns
        row = self._values[at]
        free = (values.view(np.uint64) != ABSENT_BITS) & (row[where].view(np.uint64) == ABSENT_BITS)
        row[where[free]] = values[free]

    def _insert(self, at: int, time_ms: int) -> None:
        times = np.insert(self._times[: self._rows], at, time_ms)
        values = np.insert(self._values[: self._rows], at, ABSENT, axis=0)
        self._times, self._values = times, values
        self._rows += 1
        self._first_ms = int(times[0])
