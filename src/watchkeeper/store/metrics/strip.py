"""A frame's rows in time order: sealed chunks, then open rows in a matrix that grows downwards.

Readers hold a `StripView`: what they see of the open matrix is only ever changed from ABSENT to a value.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from watchkeeper.model.frame import ABSENT, ABSENT_BITS, STALE_BITS, Floats, Times
from watchkeeper.store.metrics.chunk import Chunk, Columns, seal, split
from watchkeeper.store.metrics.decoded import DecodedChunks

_KEPT_ROWS = 16  # stay open after sealing, for rows that come a little late
_SPAN_MS_MAX = (1 << 32) - 1
_WIDE = 512  # columns from which on sealing takes so long that it is worth a thread
_MERGED_CHUNKS = 12  # at most so many chunks' rows make one merged chunk


@dataclass(frozen=True, slots=True, eq=False)
class StripView:
    """A strip as it was at one moment.

    times   int64[rows] of the open rows
    values  float64[rows or more, columns] of the open rows; frame columns beyond its width are absent
    """

    chunks: tuple[Chunk, ...]
    times: Times
    values: Floats

    def read(
        self, wanted: Columns, start_ms: int, end_ms: int, decoded: DecodedChunks | None = None
    ) -> tuple[Times, Floats, bool]:
        """Give the rows in a closed range of time: times, float64[len(wanted), rows], whether there may be gaps.

        The values may be shared, and are not to be changed.
        """
        times: list[Times] = []
        pieces: list[Floats] = []
        gaps = False
        for chunk in self._overlapping(start_ms, end_ms):
            own, low, high = chunk.times(), 0, chunk.n_rows
            if chunk.start_ms < start_ms or chunk.end_ms > end_ms:
                low, high = int(own.searchsorted(start_ms)), int(own.searchsorted(end_ms, "right"))
                own = own[low:high]
            if decoded is None:
                values = np.empty((len(wanted), high - low))
                gapped = chunk.read(wanted, low, high, values)
            else:
                values, gapped = decoded.read(chunk, wanted, low, high)
            times.append(own)
            pieces.append(values)
            gaps = gaps or gapped
        if len(self.times) or not pieces:
            low, high = int(self.times.searchsorted(start_ms)), int(self.times.searchsorted(end_ms, "right"))
            if high > low or not pieces:
                times.append(self.times[low:high])
                pieces.append(self._open(wanted, low, high))
                gaps = gaps or has_gap(pieces[-1])
        if len(pieces) == 1:
            return times[0], pieces[0], gaps
        return np.concatenate(times), np.concatenate(pieces, axis=1), gaps

    def _overlapping(self, start_ms: int, end_ms: int) -> tuple[Chunk, ...]:
        if not self.chunks or self.chunks[-1].end_ms < start_ms:
            return ()
        first = bisect_left(self.chunks, start_ms, key=lambda chunk: chunk.end_ms)
        last = bisect_right(self.chunks, end_ms, key=lambda chunk: chunk.start_ms)
        return self.chunks[first:last]

    def _open(self, wanted: Columns, low: int, high: int) -> Floats:
        """Give some columns of some open rows, float64[len(wanted), high - low], C-contiguous, not shared."""
        width, number = self.values.shape[1], len(wanted)
        if wanted[-1] < width:
            if wanted[-1] - wanted[0] == number - 1:
                return self.values[low:high, wanted[0] : wanted[0] + number].T.copy()
            return np.ascontiguousarray(self.values[low:high, wanted].T)
        out = np.full((number, high - low), ABSENT)
        known = wanted < width
        out[known] = self.values[low:high, wanted[known]].T
        return out


_NO_TIMES: Times = np.empty(0, np.int64)
_NO_VALUES: Floats = np.empty((0, 0))


def closed(chunks: tuple[Chunk, ...]) -> StripView:
    """Give a strip of chunks alone."""
    return StripView(chunks, _NO_TIMES, _NO_VALUES)


def read_strips(
    strips: tuple[StripView, ...], wanted: Columns, start_ms: int, end_ms: int, decoded: DecodedChunks | None
) -> tuple[Times, Floats, bool]:
    """Give the rows of a closed range, strips laid over each other: times, float64[len(wanted), rows], perhaps gaps."""
    if len(strips) == 1:
        return strips[0].read(wanted, start_ms, end_ms, decoded)
    parts = [strip.read(wanted, start_ms, end_ms, decoded) for strip in strips]
    parts = [part for part in parts if len(part[0])] or parts[:1]
    if len(parts) == 1:
        return parts[0]
    times, values = unite([(times, values) for times, values, _ in parts])
    return times, values, True


def row_times(strips: tuple[StripView, ...]) -> Times:
    """Give the times of all rows, ascending, each once."""
    found = [piece for strip in strips for piece in (*(chunk.times() for chunk in strip.chunks), strip.times)]
    times = np.concatenate(found) if found else np.empty(0, np.int64)
    return times if len(strips) == 1 else np.unique(times)


def unite(parts: list[tuple[Times, Floats]]) -> tuple[Times, Floats]:
    """Lay rows of the same series over each other; where two have a sample, the first one's is taken."""
    times = np.unique(np.concatenate([part[0] for part in parts]))
    values = np.full((len(parts[0][1]), len(times)), ABSENT)
    for own_times, own in parts:
        at = np.searchsorted(times, own_times)
        there = values[:, at]
        bits = there.view(np.uint64)
        free = (bits == ABSENT_BITS) | ((bits == STALE_BITS) & (own.view(np.uint64) != ABSENT_BITS))
        values[:, at] = np.where(free, own, there)
    return times, values


def has_gap(values: Floats) -> bool:
    """Say whether any value is ABSENT or STALE."""
    if not np.isnan(values).any():
        return False
    bits = values.view(np.uint64)
    return bool(((bits == ABSENT_BITS) | (bits == STALE_BITS)).any())


def sealed_rows(times: Times, values: Floats, window_ms: int) -> list[Chunk]:
    """Compress rows as chunks, none of which has rows of two windows.

    times   int64[rows], at least one, ascending; values float64[rows, columns]
    """
    borders = np.flatnonzero(np.diff(times // window_ms)) + 1
    return [seal(times[low:high], values[low:high]) for low, high in pairwise([0, *borders.tolist(), len(times)])]


class Strip:
    """The writing side. `sealed_ms` is the time up to which (inclusive) no row can be added any more.

    chunk_rows  rows of a chunk; `first_rows` of the first one
    window_ms   no chunk has rows of two windows, because each goes to a block of its own
    later       has the frozen rows of a wide strip sealed (`frozen`, `take_sealed`) soon; False when it cannot
    """

    def __init__(
        self, chunk_rows: int, first_rows: int, window_ms: int, later: Callable[["Strip"], bool] | None = None
    ) -> None:
        self._later, self._frozen = later, 0
        self._chunk_rows, self._window_ms = chunk_rows, window_ms
        self.chunks: tuple[Chunk, ...] = ()
        self.sealed_bytes = 0
        self.sealed_ms = -(1 << 63)
        self._rows = 0
        self._times = np.empty(0, np.int64)
        self._values = np.empty((0, 0), np.float64)
        self._seal_at = first_rows + _KEPT_ROWS
        self._first_ms = self._newest_ms = 0

    def set_chunk_rows(self, rows: int) -> None:
        """Seal so many rows together from now on; what is open beyond that is sealed with the next row."""
        self._chunk_rows, self._seal_at = rows, min(self._seal_at, rows + _KEPT_ROWS)

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
            if time_ms - self._first_ms > _SPAN_MS_MAX or not self._sealed_later():
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
        if rows:
            self._put_away(sealed_rows(self._times[:rows], self._values[:rows], self._window_ms), rows)

    def _sealed_later(self) -> bool:
        """Have the rows that are due sealed in a thread; False when it has to be done now."""
        if self._frozen:
            return self._rows < 2 * self._seal_at
        due = self._rows - _KEPT_ROWS
        if self._later is None or self._values.shape[1] < _WIDE or due < 1:
            return False
        self._frozen, before_ms = due, self.sealed_ms
        self.sealed_ms = int(self._times[due - 1])
        if self._later(self):
            return True
        self._frozen, self.sealed_ms = 0, before_ms
        return False

    def frozen(self) -> tuple[Times, Floats, int] | None:
        """Give times and values of the rows that wait to be sealed, and the window: what `sealed_rows` takes.

        They are not changed any more, in whatever thread they are read.
        """
        return (self._times[: self._frozen], self._values[: self._frozen], self._window_ms) if self._frozen else None

    def take_sealed(self, times: Times, chunks: list[Chunk]) -> bool:
        """Put chunks in the place of the rows that they were made of; False when these were sealed meanwhile."""
        if self._frozen != len(times) or not np.array_equal(self._times[: self._frozen], times):
            return False
        self._put_away(chunks, self._frozen)
        return True

    def _put_away(self, chunks: list[Chunk], rows: int) -> None:
        self._frozen = 0
        self.chunks = (*self.chunks, *chunks)
        self.sealed_bytes += sum(chunk.size_bytes for chunk in chunks)
        self.sealed_ms = max(self.sealed_ms, chunks[-1].end_ms)
        self._seal_at = self._chunk_rows + _KEPT_ROWS
        left, times, values = self._rows - rows, self._times[rows : self._rows], self._values[rows : self._rows]
        capacity = max(self._seal_at, left) if left else 0
        self._times, self._values = np.empty(capacity, np.int64), np.empty((capacity, values.shape[1]))
        self._times[:left], self._values[:left] = times, values
        self._rows = left
        if left:
            self._first_ms = int(times[0])

    def seal_all(self) -> None:
        """Compress every open row."""
        self.seal(self._rows)

    def mergeable(self) -> tuple[Chunk, ...]:
        """Give the oldest run of chunks that is worth making one of; nothing when there is none."""
        rows_wanted = _MERGED_CHUNKS * self._chunk_rows
        first = rows = 0
        for at, chunk in enumerate(self.chunks):
            if chunk.start_ms // self._window_ms != self.chunks[first].start_ms // self._window_ms:
                if at - first > 1:  # nothing more will come to this window
                    return self.chunks[first:at]
                first, rows = at, 0
            rows += chunk.n_rows
            if rows >= rows_wanted:
                if at > first:
                    return self.chunks[first : at + 1]
                first, rows = at + 1, 0
                if first == len(self.chunks):
                    break
        return ()

    def replace(self, merged: tuple[Chunk, ...], chunk: Chunk) -> bool:
        """Put one chunk in the place of several, unless these have gone meanwhile; say whether it was done."""
        at = next((at for at, one in enumerate(self.chunks) if one is merged[0]), None)
        if at is None or len(self.chunks) < at + len(merged):
            return False
        self.chunks = (*self.chunks[:at], chunk, *self.chunks[at + len(merged) :])
        self.sealed_bytes = sum(one.size_bytes for one in self.chunks)
        return True

    def cut(self, time_ms: int) -> tuple[Chunk, ...]:
        """Seal what is older than a moment, and give the chunks that are; none has rows on both sides of it."""
        if self._rows and self._first_ms < time_ms:
            self.seal(int(np.searchsorted(self._times[: self._rows], time_ms)))
        at = bisect_left(self.chunks, time_ms, key=lambda chunk: chunk.end_ms)
        if at < len(self.chunks) and self.chunks[at].start_ms < time_ms:
            halves = split(self.chunks[at], time_ms)
            self.chunks = (*self.chunks[:at], *halves, *self.chunks[at + 1 :])
            self.sealed_bytes = sum(chunk.size_bytes for chunk in self.chunks)
            at += 1
        return self.chunks[:at]

    def drop_before(self, time_ms: int) -> bool:
        """Let go of chunks that are wholly older; say whether any went."""
        if not self.chunks or self.chunks[0].end_ms >= time_ms:
            return False
        self.chunks = self.chunks[bisect_left(self.chunks, time_ms, key=lambda chunk: chunk.end_ms) :]
        self.sealed_bytes = sum(chunk.size_bytes for chunk in self.chunks)
        return True

    def let_go(self, chunks: tuple[Chunk, ...]) -> None:
        """Drop the oldest chunks if they are these, which lie in a block now."""
        if chunks and self.chunks[: len(chunks)] == chunks:
            self.chunks = self.chunks[len(chunks) :]
            self.sealed_bytes = sum(chunk.size_bytes for chunk in self.chunks)

    @property
    def open_rows(self) -> int:
        return self._rows

    @property
    def oldest_ms(self) -> int:
        """Time of the oldest row; far in the future when there is none."""
        if self.chunks:
            return self.chunks[0].start_ms
        return self._first_ms if self._rows else (1 << 63) - 1

    @property
    def newest_ms(self) -> int:
        return self._newest_ms

    def _grow(self, width: int) -> None:
        """Make room for another row, or for more columns; readers keep the old matrix."""
        capacity = len(self._times)
        if self._rows == capacity:
            bound = self._seal_at if self._rows < self._seal_at else self._rows + 2 * _KEPT_ROWS
            capacity = max(min(max(2 * capacity, 8), bound), self._rows + 1)
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
