"""A frame: all series of one source, their newest samples, and their rows.

Checking a row (is it in order, is it new?) and taking it are apart, because the log comes between them. `Verdict`
remembers what checking changed, so that it can be undone when the log refuses.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import count

import numpy as np
import numpy.typing as npt

from watchkeeper.model.frame import ABSENT, ABSENT_BITS, STALE, STALE_BITS, Floats, Layout, Row, Times
from watchkeeper.model.labels import LabelTable, Symbols
from watchkeeper.store.metrics.chunk import Chunk, Columns
from watchkeeper.store.metrics.columns import ColumnIndex, Hashes, Matches
from watchkeeper.store.metrics.decoded import DecodedChunks
from watchkeeper.store.metrics.sealing import Sealer
from watchkeeper.store.metrics.strip import Strip, StripView, has_gap, read_strips

NEVER_MS = -(1 << 63)
LATE_MS = (1 << 63) - 1
_LAYOUTS_MAX = 16
_STRIPS_MAX = 8

Same = Callable[[Floats, Floats], npt.NDArray[np.bool_]]

OUT_OF_ORDER = "out of order sample"
OUT_OF_BOUNDS = "out of bounds"
DUPLICATE = "duplicate sample for timestamp"

Mask = npt.NDArray[np.bool_]


def same_bits(left: Floats, right: Floats) -> npt.NDArray[np.bool_]:
    """Say which cells are the same bit by bit."""
    return np.asarray(left.view(np.uint64) == right.view(np.uint64))


@dataclass(frozen=True, slots=True, eq=False)
class FrameLayout(Layout):
    """A layout of this store.

    dense    columns are 0…n-1
    repeats  positions whose column came before in the list
    taken    layout of the series that are taken, where some are refused; `kept` are their positions, and `refused`
             those of the others, whose column is -1, with the reason
    """

    frame: "Frame"
    dense: bool
    repeats: npt.NDArray[np.int64]
    taken: "FrameLayout | None" = None
    kept: npt.NDArray[np.int64] | None = None
    refused: Mapping[int, str] = field(default_factory=dict)

    def samples_refused(self, values: Floats) -> dict[str, int]:
        """Count a row's samples of series that are refused, by reason."""
        places = np.fromiter(self.refused, np.int64, len(self.refused))
        there = values[places].view(np.uint64) != ABSENT_BITS
        return dict(Counter(reason for reason, one in zip(self.refused.values(), there.tolist(), strict=True) if one))


@dataclass(slots=True)
class Verdict:
    """What became of a row when it was checked.

    values   what is to be logged and stored, in the layout's order; ABSENT where refused
    ended    columns that get a staleness marker
    refused  reason and layout position of each sample that was refused
    undo     columns and what their newest time and value were; the frame's newest time
    plain    the ordinary row: newer than all, a sample for every column, none of them new; nothing was remembered yet
    """

    layout: FrameLayout
    time_ms: int
    whole: bool
    values: Floats
    stored: int = 0
    added: int = 0
    duplicates: int = 0
    ended: Columns | None = None
    refused: list[tuple[str, npt.NDArray[np.int64]]] = field(default_factory=list)
    undo: list[tuple[Columns, Times, Floats, int]] = field(default_factory=list)
    plain: bool = False
    over: Mapping[str, int] = field(default_factory=dict)  # samples of series that are not taken, by reason

    @property
    def empty(self) -> bool:
        """Whether there is nothing to store."""
        return not self.plain and self.ended is None and not self.undo


@dataclass(frozen=True, slots=True, eq=False)
class FrameView:
    """A frame as readers may see it: never changed, but for first_ms and newest_ms moving on."""

    source: str
    table: LabelTable
    hashes: Hashes
    matches: Matches
    first_ms: Times
    newest_ms: Times
    strips: tuple[StripView, ...]
    number = None  # of no block

    def read(
        self, wanted: Columns, start_ms: int, end_ms: int, decoded: DecodedChunks | None = None
    ) -> tuple[Times, Floats, bool]:
        """Give the rows of a closed range: times, float64[len(wanted), rows], whether there may be gaps."""
        return read_strips(self.strips, wanted, start_ms, end_ms, decoded)

    def alive(self, columns: Columns, start_ms: int, end_ms: int) -> Mask | bool:
        """Say which columns may have samples in a closed range."""
        return np.asarray((self.first_ms[columns] <= end_ms) & (self.newest_ms[columns] >= start_ms))


class Frame:
    """The writing side; used by one thread. `view` is what readers take.

    newest_ms  int64[width]: time of each column's newest sample; `newest` its value, ABSENT before the first
    """

    _numbers = count(1)

    def __init__(
        self, source: str, symbols: Symbols, chunk_rows: int, window_ms: int, sealer: Sealer | None = None
    ) -> None:
        self.source = source
        self._later = None if sealer is None else partial(sealer.later, self)
        self.changes: tuple[tuple[int, int], ...] = ()  # see changes.py
        self.retired = False  # whether another frame has taken its place
        self.same: Same = same_bits  # how cells are compared
        self.index = ColumnIndex(symbols)
        self.first_ms: Times = np.empty(0, np.int64)
        self.newest_ms: Times = np.empty(0, np.int64)
        self.newest: Floats = np.empty(0, np.float64)  # the value at newest_ms; ABSENT before the first
        self._latest_ms = NEVER_MS
        self._all_live = False  # whether every column's newest is a sample
        self._chunk_rows, self._window_ms = chunk_rows, window_ms
        # First chunks differ in length by source, so that frames do not all seal at once.
        first_rows = max(1, chunk_rows // 2 + sum(source.encode()) % (chunk_rows // 2 + 1))
        self._strips = [Strip(chunk_rows, first_rows, window_ms, self._later)]
        self._layouts: OrderedDict[bytes, FrameLayout] = OrderedDict()
        self.view = self._view()

    # -- series

    @property
    def width(self) -> int:
        """How many columns there are."""
        return len(self.index.hashes)

    def layout(self, columns: Columns) -> FrameLayout:
        """Give the layout of a list of columns, the same one for the same list."""
        key = columns.tobytes()
        known = self._layouts.get(key)
        if known is None:
            dense = bool(np.array_equal(columns, np.arange(len(columns))))
            first = np.unique(columns, return_index=True)[1]
            repeats = (
                np.setdiff1d(np.arange(len(columns)), first) if len(first) < len(columns) else np.empty(0, np.int64)
            )
            columns.flags.writeable = False
            known = FrameLayout(next(self._numbers), self.source, columns, self, dense, repeats)
            self._layouts[key] = known
            if len(self._layouts) > _LAYOUTS_MAX:  # still good for those who hold it, only no longer found
                self._layouts.popitem(last=False)
        else:
            self._layouts.move_to_end(key)
        return known

    def layout_without(self, taken: FrameLayout, refused: Mapping[int, str]) -> FrameLayout:
        """Give the layout of a list some of whose series are refused."""
        length = len(taken) + len(refused)
        kept = np.setdiff1d(np.arange(length), np.fromiter(refused, np.int64, len(refused)))
        columns = np.full(length, -1, np.int32)
        columns[kept] = taken.columns
        none = np.empty(0, np.int64)
        return FrameLayout(next(self._numbers), self.source, columns, self, False, none, taken, kept, refused)

    def widen(self, table: LabelTable) -> None:
        """Add columns."""
        self.index.add(table)
        more = self.width - len(self.newest_ms)
        self.first_ms = np.concatenate([self.first_ms, np.full(more, LATE_MS)])
        self.newest_ms = np.concatenate([self.newest_ms, np.full(more, NEVER_MS)])
        self.newest = np.concatenate([self.newest, np.full(more, ABSENT)])
        self._all_live = False
        self.publish()

    # -- rows

    def check(
        self, row: Row, layout: FrameLayout, floor_ms: int, limit_ms: int, window_ms: int, alone: bool
    ) -> Verdict:
        """Decide about a row's samples and remember them as the newest of their series.

        floor_ms   an earlier sample is refused, because blocks of its time are written already
        limit_ms   a later sample is refused; `window_ms` is how much older than the newest one may be
        alone      whether this is the frame's only row in an append: remembering may then wait for `take`
        """
        verdict = Verdict(layout, row.time_ms, row.whole, row.values)
        if alone and row.time_ms >= floor_ms and self._is_plain(row, layout, limit_ms):
            verdict.plain, verdict.stored = True, len(row.values)
            return verdict
        sample = row.values.view(np.uint64) != ABSENT_BITS
        if not max(floor_ms, NEVER_MS + 1) <= row.time_ms <= limit_ms:
            self._refuse(verdict, OUT_OF_BOUNDS, sample)
            return verdict
        if len(layout.repeats):
            sample = self._drop_repeats(verdict, sample)
        if row.time_ms <= self._latest_ms:
            sample = self._drop_old(verdict, sample, window_ms)
        self._advance(verdict, sample)
        if row.whole:
            self._end_others(verdict, floor_ms)
        return verdict

    def _is_plain(self, row: Row, layout: FrameLayout, limit_ms: int) -> bool:
        return (
            self._all_live
            and layout.dense
            and len(layout) == self.width
            and self._latest_ms < row.time_ms <= limit_ms
            and not has_gap(row.values)
        )

    def _drop_repeats(self, verdict: Verdict, sample: Mask) -> Mask:
        """A series listed twice has one value a time: the first."""
        bits, columns = verdict.values.view(np.uint64), verdict.layout.columns
        taken = {int(columns[at]): int(bits[at]) for at in np.flatnonzero(sample)[::-1]}
        repeats = verdict.layout.repeats[sample[verdict.layout.repeats]]
        first = {int(columns[at]): int(at) for at in np.flatnonzero(sample)[::-1]}
        again = np.array([at for at in repeats if first[int(columns[at])] != at], np.int64)
        same = np.array([taken[int(columns[at])] == int(bits[at]) for at in again], np.bool_)
        kept = sample.copy()
        kept[again] = False
        clash = np.zeros_like(sample)
        clash[again[~same]] = True
        verdict.duplicates += int(same.sum())
        self._refuse(verdict, DUPLICATE, clash)
        self._keep(verdict, kept)
        return kept

    def _drop_old(self, verdict: Verdict, sample: Mask, window_ms: int) -> Mask:
        columns, time_ms = verdict.layout.columns, verdict.time_ms
        newest = self.newest_ms[columns]
        old = sample & (newest >= time_ms)
        if not old.any():
            return sample
        before = self.newest[columns]
        late = old & (newest > time_ms)
        if window_ms and late.any():
            allowed = late & (newest <= time_ms + window_ms)
            before = np.where(allowed, self._value_at(time_ms, columns), before)
            fresh = allowed & (before.view(np.uint64) == ABSENT_BITS)
            late &= ~allowed
            old &= ~fresh
        self._refuse(verdict, OUT_OF_ORDER, late)
        same = old & ~late & self.same(before, verdict.values)
        verdict.duplicates += int(same.sum())
        self._refuse(verdict, DUPLICATE, old & ~late & ~same)
        kept = sample & ~old
        self._keep(verdict, kept)
        return kept

    @staticmethod
    def _refuse(verdict: Verdict, reason: str, which: Mask) -> None:
        if which.any():
            verdict.refused.append((reason, np.flatnonzero(which)))

    @staticmethod
    def _keep(verdict: Verdict, kept: Mask) -> None:
        verdict.values = np.where(kept, verdict.values, ABSENT)

    def _advance(self, verdict: Verdict, sample: Mask) -> None:
        """Note the samples as their series' newest (unless a later one is known)."""
        layout, values = verdict.layout, verdict.values
        columns = layout.columns
        if not sample.all():
            values, columns = values[sample], columns[sample]
        if not len(columns):
            return
        stale = values.view(np.uint64) == STALE_BITS
        before = self.newest[columns]
        before_bits = before.view(np.uint64)
        dead = (before_bits == ABSENT_BITS) | (before_bits == STALE_BITS)
        verdict.stored += len(columns) - int(stale.sum())
        verdict.added += int((dead & ~stale).sum()) if dead.any() else 0
        self._note(verdict, columns, values, before)

    def _note(self, verdict: Verdict, columns: Columns, values: Floats, before: Floats) -> None:
        newest, time_ms = self.newest_ms[columns], verdict.time_ms
        verdict.undo.append((columns, newest, before, self._latest_ms))
        if time_ms > self._latest_ms:
            self.newest_ms[columns], self.newest[columns] = time_ms, values
            self._latest_ms = time_ms
            self._all_live = False  # until found out again, by `take`
        else:
            later = newest < time_ms
            self.newest_ms[columns[later]], self.newest[columns[later]] = time_ms, values[later]

    def _end_others(self, verdict: Verdict, floor_ms: int) -> None:
        """Find the live series that a whole row does not name.

        Of those last heard of before `floor_ms` a restart would know nothing, so they are left alone; they are long out
        of any query's sight.
        """
        if verdict.layout.dense and len(verdict.layout) == self.width:
            return
        bits = self.newest.view(np.uint64)
        live = (bits != ABSENT_BITS) & (bits != STALE_BITS) & (self.newest_ms < verdict.time_ms)
        live &= self.newest_ms >= floor_ms
        live[verdict.layout.columns] = False
        if not live.any():
            return
        ended = np.flatnonzero(live).astype(np.int32)
        verdict.ended = ended
        self._note(verdict, ended, np.full(len(ended), STALE), self.newest[ended])

    def undo(self, verdict: Verdict) -> None:
        """Forget a row that was checked; the last one first."""
        for columns, newest, values, latest_ms in reversed(verdict.undo):
            self.newest_ms[columns], self.newest[columns], self._latest_ms = newest, values, latest_ms

    def take(self, verdict: Verdict) -> None:
        """Store a row that was checked and logged; readers see it when `publish` was called."""
        if verdict.empty:
            return
        layout, time_ms = verdict.layout, verdict.time_ms
        strip = self._strip(time_ms)
        if verdict.plain:
            strip.put(time_ms, None, verdict.values, self.width)
            self.newest_ms[:], self.newest[:], self._latest_ms = time_ms, verdict.values, time_ms
            return
        columns = None if layout.dense else layout.columns
        values = verdict.values
        if len(layout.repeats):
            here = np.flatnonzero(values.view(np.uint64) != ABSENT_BITS)
            columns, values = layout.columns[here], values[here]
        strip.put(time_ms, columns, values, self.width)
        if verdict.ended is not None:
            strip.put(time_ms, verdict.ended, np.full(len(verdict.ended), STALE), self.width)
        for moved, _, _, _ in verdict.undo:
            first = self.first_ms[moved]
            if (first > time_ms).any():
                self.first_ms[moved] = np.minimum(first, time_ms)
        if layout.dense and len(layout) == self.width:
            self._all_live = not has_gap(self.newest)

    def _strip(self, time_ms: int) -> Strip:
        """Give a strip that can still take a row of this time; late rows lie in strips of their own."""
        for strip in self._strips:
            if strip.takes(time_ms):
                return strip
        if len(self._strips) >= _STRIPS_MAX:
            self._fold()
            return self._strip(time_ms)
        self._strips.append(Strip(self._chunk_rows, self._chunk_rows, self._window_ms, self._later))
        return self._strips[-1]

    def _fold(self) -> None:
        """Make one strip of many: late rows have come in more layers than reading should have to lay together."""
        columns = np.arange(self.width, dtype=np.int32)
        times, values, _ = self._view().read(columns, NEVER_MS, LATE_MS)
        folded = Strip(self._chunk_rows, self._chunk_rows, self._window_ms, self._later)
        for at, time_ms in enumerate(times.tolist()):
            folded.put(time_ms, None, values[:, at], self.width)
        self._strips = [folded]

    def _value_at(self, time_ms: int, columns: Columns) -> Floats:
        found = np.full(len(columns), ABSENT)
        for strip in self._strips:
            found = np.where(found.view(np.uint64) == ABSENT_BITS, strip.value_at(time_ms, columns), found)
        return found

    def set_chunk_rows(self, rows: int) -> None:
        """Seal so many rows together from now on."""
        self._chunk_rows = rows
        for strip in self._strips:
            strip.set_chunk_rows(rows)

    # -- reading and upkeep

    def publish(self) -> None:
        """Let readers see the frame as it is now."""
        self.view = self._view()

    def _view(self) -> FrameView:
        strips = tuple(strip.view() for strip in self._strips)
        return FrameView(
            self.source, self.index.table, self.index.hashes, self.index.matches, self.first_ms, self.newest_ms, strips
        )

    @property
    def latest_ms(self) -> int:
        """Time of the newest sample."""
        return self._latest_ms

    def seal_all(self) -> None:
        """Compress all open rows, of a source that has gone quiet."""
        for strip in self._strips:
            strip.seal_all()
        self.publish()

    def mergeable(self) -> tuple[Strip, tuple[Chunk, ...]] | None:
        """Give a strip and a run of its chunks that is worth making one of."""
        for strip in self._strips:
            chunks = strip.mergeable()
            if chunks:
                return strip, chunks
        return None

    def cut(self, time_ms: int) -> tuple[tuple[Chunk, ...], ...]:
        """Seal what is older than a moment and give the chunks that are, strip by strip."""
        chunks = tuple(strip.cut(time_ms) for strip in self._strips)
        self.publish()
        return chunks

    def let_go(self, cut: tuple[tuple[Chunk, ...], ...], time_ms: int) -> None:
        """Drop what was cut and lies in a block now."""
        for strip, chunks in zip(self._strips, cut, strict=False):
            strip.let_go(chunks)
        self._dropped(time_ms)

    def drop_before(self, time_ms: int) -> bool:
        """Let go of chunks wholly older than a moment; say whether any went."""
        dropped = [strip.drop_before(time_ms) for strip in self._strips]
        if any(dropped):
            self._dropped(time_ms)
        return any(dropped)

    def _dropped(self, time_ms: int) -> None:
        """Note that nothing older than a moment is left."""
        self._strips = [self._strips[0], *(strip for strip in self._strips[1:] if strip.chunks or strip.open_rows)]
        self.first_ms = np.maximum(self.first_ms, np.where(self.first_ms == LATE_MS, LATE_MS, time_ms))
        self.publish()  # who reads the view of before still finds what was dropped

    @property
    def open_rows(self) -> int:
        return sum(strip.open_rows for strip in self._strips)

    @property
    def open_bytes(self) -> int:
        return sum(strip.open_bytes for strip in self._strips)

    @property
    def sealed_bytes(self) -> int:
        return sum(strip.sealed_bytes for strip in self._strips)

    @property
    def oldest_sealed_ms(self) -> int:
        """End of the oldest chunk; far in the future when there is none."""
        return min((strip.chunks[0].end_ms for strip in self._strips if strip.chunks), default=LATE_MS)

    @property
    def oldest_ms(self) -> int:
        """Time of the oldest row; far in the future when there is none."""
        return min((strip.oldest_ms for strip in self._strips), default=LATE_MS)

    def alive(self, since_ms: int) -> Columns:
        """Give the columns that have not ended and were heard of since a moment; and those that ended just now.

        Another sample of the moment when a series ended is refused, and who forgot the series could not tell.
        """
        alive = (self.newest.view(np.uint64) != STALE_BITS) & (self.newest_ms >= since_ms)
        return np.flatnonzero(alive | (self.newest_ms == self._latest_ms)).astype(np.int32)

    def retire(self) -> None:
        """Be read from now on, and written to no more."""
        self.retired = True
        self.seal_all()

    def succeed(self, table: LabelTable, newest_ms: Times, newest: Floats) -> None:
        """Go on, with these columns, where another frame stopped."""
        self.widen(table)
        self.newest_ms[:], self.newest[:] = newest_ms, newest
        self._latest_ms = int(newest_ms.max(initial=NEVER_MS))

    def table_of(self, columns: Columns) -> LabelTable:
        """Give the labels of some columns."""
        return self.index.table.take(columns)

    @property
    def is_empty(self) -> bool:
        """Whether there are no rows."""
        return not any(strip.chunks or strip.open_rows for strip in self._strips)

    def live(self) -> int:
        """How many series have not ended."""
        bits = self.newest.view(np.uint64)
        return int(((bits != ABSENT_BITS) & (bits != STALE_BITS)).sum())


__all__ = ["DUPLICATE", "OUT_OF_BOUNDS", "OUT_OF_ORDER", "Frame", "FrameLayout", "FrameView", "Verdict"]
