"""Functions of range vectors whose windows have native histograms.

The floats of all windows go the way that they always go, without the histograms among them; then each window that has
any is looked at for itself.

source  Prometheus 3.5, promql/functions.go
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from watchkeeper.model.checkpoint import checkpoint
from watchkeeper.model.frame import Floats, Times
from watchkeeper.model.histogram import Hint, Histogram
from watchkeeper.model.histogram_sum import Combined, IncompatibleSchemas, add, subtract, was_reset
from watchkeeper.model.labels import METRIC_NAME, Ints
from watchkeeper.query.promql.annotations import place_of
from watchkeeper.query.promql.ast import Call, Expr
from watchkeeper.query.promql.context import Query
from watchkeeper.query.promql.histograms import notes, series
from watchkeeper.query.promql.histograms.total import mean, total
from watchkeeper.query.promql.matrix import Mask
from watchkeeper.query.promql.starts import began_anew, usable
from watchkeeper.query.promql.windows import RangeVector, Windows

_OF_ANY = frozenset({
    "absent_over_time", "count_over_time", "first_over_time", "last_over_time", "present_over_time",
    "ts_of_first_over_time", "ts_of_last_over_time",
})  # fmt: skip
Found = tuple[Floats, Mask]
Cell = float | Histogram | None


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """One window that has histograms.

    at      the place of its first sample in the block
    values  float64[n], cells of histograms among them
    native  bool[n]
    name    of the metric
    starts  int64[n], start timestamps; None: there are none
    """

    query: Query
    node: Call
    place: Expr
    name: str
    at: int
    values: Floats
    times: Times
    native: Mask
    end_ms: int
    range_ms: int
    resets: dict[int, bool]
    starts: Times | None = None

    @property
    def histograms(self) -> list[Histogram]:
        return self.query.histograms.at(self.values[self.native])

    @property
    def is_mixed(self) -> bool:
        return not self.native.all()

    def warn(self, message: str) -> None:
        self.query.notes.warn(message, self.place)

    def inform(self, message: str) -> None:
        self.query.notes.inform(message, self.place)

    def warn_of_kind(self, histograms: Sequence[Histogram], *, counter: bool) -> None:
        """Warn of a gauge among what should be a counter, and of a counter at an end of what should be a gauge."""
        if counter and any(one.hint is Hint.GAUGE for one in histograms):
            self.warn(notes.no_counter(self.name))
        if not counter and any(one.hint is not Hint.GAUGE for one in (histograms[0], histograms[-1])):
            self.warn(notes.no_gauge(self.name))

    def was_reset(self, number: int, now: Histogram, before: Histogram) -> bool:
        """Tell whether the counter was reset at a sample of this window; asked of neighbouring windows once."""
        key = self.at + number
        if key not in self.resets:
            self.resets[key] = was_reset(now, before) or self._began_anew(number)
        return self.resets[key]

    def _began_anew(self, number: int) -> bool:
        if self.starts is None:
            return False
        pair = slice(number - 1, number + 1)
        return bool(began_anew(self.starts[pair], self.times[pair])[0])

    def start_ms(self) -> int:
        """Give the moment inside the window from which on the first sample's counter counts; 0 when none is known."""
        if (
            self.starts is None
            or not usable(self.starts[:1], self.times[:1], np.array([self.end_ms - self.range_ms]))[0]
        ):
            return 0
        return int(self.starts[0])

    def tell(self, found: Combined, operation: str) -> Histogram:
        """Say what had to be done to combine histograms."""
        if found.reconciled:
            self.inform(notes.reconciled(operation))
        return found.histogram


@dataclass(frozen=True, slots=True, eq=False)
class _Parted:
    """A block end to end, and which of its samples are histograms.

    lo, hi  int64[series × steps]
    before  int64[samples + 1]: how many histograms there are before each sample
    """

    block: Windows
    values: Floats
    times: Times
    native: Mask
    lo: Ints
    hi: Ints
    before: Ints

    @property
    def counts(self) -> Ints:
        """Give how many histograms each window has."""
        return self.before[self.hi] - self.before[self.lo]

    def floats(self) -> Windows:
        """Give the block without histograms."""
        kept = np.concatenate([[0], np.cumsum(~self.native)])
        values, times = self.values[~self.native], self.times[~self.native]
        starts = None if self.block.starts is None else self.block.starts[~self.native]
        if not len(times):  # every index must stay valid
            values, times, starts = np.zeros(1), np.zeros(1, np.int64), None
        series = self.block.shape[0] if len(self.block.lo) < len(self.lo) else 1
        return replace(
            self.block,
            values=values[None, :],
            times=times,
            lo=kept[self.lo],
            hi=kept[self.hi],
            ends_ms=np.tile(self.block.ends_ms, series),
            at_ms=np.tile(self.block.at_ms, series),
            starts=starts,
        )


def _parted(query: Query, block: Windows) -> _Parted | None:
    native = query.histograms.where(block.values)
    if native is None:
        return None
    rows, columns = block.values.shape
    lo, hi = block.lo, block.hi
    if len(lo) < block.shape[0] * block.shape[1]:  # windows that all series share
        begin = np.arange(rows)[:, None] * columns
        lo, hi = (begin + lo).ravel(), (begin + hi).ravel()
    native = native.ravel()
    before = np.concatenate([[0], np.cumsum(native)])
    return _Parted(block, block.values.ravel(), np.tile(block.times, rows), native, lo, hi, before)


def apply(query: Query, node: Call, ranges: RangeVector, function: Callable[[Windows], Found]) -> Found:
    """Evaluate a function of a range vector that may have histograms."""
    parted = [_parted(query, block) for block in ranges.blocks] if query.histograms else []
    if node.name in _OF_ANY or not any(part is not None for part in parted):
        return ranges.apply(function)
    blocks = [block if part is None else part.floats() for block, part in zip(ranges.blocks, parted, strict=True)]
    values, present = RangeVector(ranges.labels, blocks, ranges.steps).apply(function)
    names = ranges.labels.values(METRIC_NAME)
    start = 0
    for block, part in zip(ranges.blocks, parted, strict=True):
        if part is not None:
            steps = block.shape[1]
            for row in np.unique(np.flatnonzero(part.counts) // steps).tolist():
                checkpoint()
                here = values[start + row], present[start + row]
                whole = _whole(query, node, part, row)
                if whole is not None:
                    here[0][whole[1]] = query.histograms.cells_of(whole[0])
                    here[1][:] = whole[1]
                else:
                    _one_by_one(query, _windows(query, node, part, row, names[start + row]), here)
        start += block.shape[0]
    return values, present


def _one_by_one(query: Query, windows: Iterator[tuple[int, Window]], found: Found) -> None:
    """Evaluate windows of a series each for itself, in place of what was found of floats."""
    values, present = found
    for step, window in windows:
        handler = HANDLERS.get(window.node.name, _ignored)
        made = handler(window)
        if handler is not _ignored:
            present[step] = made is not None
        if made is not None:
            values[step] = query.histograms.cell(made) if isinstance(made, Histogram) else made


def has_floats(query: Query, ranges: RangeVector) -> bool:
    """Say whether any window has a float."""
    parted = [_parted(query, block) for block in ranges.blocks]
    return any(
        bool((block.counts if part is None else part.floats().counts).any())
        for block, part in zip(ranges.blocks, parted, strict=True)
    )


def _whole(query: Query, node: Call, part: _Parted, row: int) -> series.Found | None:
    """Evaluate all windows of a series at once, when it has histograms alone, and those of one layout."""
    here = slice(row * part.block.shape[1], (row + 1) * part.block.shape[1])
    lo, hi = part.lo[here], part.hi[here]
    some = hi > lo
    begin, end = int(lo[some].min()), int(hi[some].max())
    if part.block.starts is not None or not part.native[begin:end].all():
        return None
    columns = query.histograms.columns(part.values[begin:end])
    if columns is None:
        return None
    ends_ms = part.block.ends_ms
    windows = (np.where(some, lo - begin, 0), np.where(some, hi - begin, 0))
    ends_ms = ends_ms[here] if len(ends_ms) > part.block.shape[1] else ends_ms
    return series.evaluate(
        node.name, series.Series(columns, part.times[begin:end], *windows, ends_ms, part.block.range_ms)
    )


def _windows(query: Query, node: Call, part: _Parted, row: int, name: str) -> Iterator[tuple[int, Window]]:
    """Give the windows of a series that have histograms, with their steps."""
    place = place_of(node.args[0])
    steps = part.block.shape[1]
    resets: dict[int, bool] = {}
    here = slice(row * steps, (row + 1) * steps)
    for step in np.flatnonzero(part.counts[here]).tolist():
        checkpoint()
        number = row * steps + step
        lo, hi = int(part.lo[number]), int(part.hi[number])
        end_ms = int(part.block.ends_ms[number if len(part.block.ends_ms) > steps else step])
        yield step, Window(
            query, node, place, name, lo,
            part.values[lo:hi], part.times[lo:hi], part.native[lo:hi], end_ms, part.block.range_ms, resets,
            None if part.block.starts is None else part.block.starts[lo:hi],
        )  # fmt: skip


# --- how much it moved ----------------------------------------------------------------------------------------


def _rate(window: Window) -> Cell:
    if window.is_mixed:
        window.warn(notes.mixed(window.name))
        return None
    histograms, times = window.histograms, window.times
    counter = window.node.name != "delta"
    start_ms = window.start_ms() if counter else 0
    if len(histograms) < 2 and not start_ms:
        return None
    moved = moved_between(window, histograms, counter=counter) if len(histograms) > 1 else _nothing_of(histograms[0])
    if moved is None:
        return None
    if start_ms:
        moved = replace(window.tell(add(moved, histograms[0]), "addition"), hint=Hint.GAUGE)
        factor = series.extrapolation_from(start_ms, times, window.end_ms)
        return moved.times(factor / (window.range_ms / 1000) if window.node.name == "rate" else factor)
    spans = (times[:1], times[-1:], np.array([window.end_ms]), np.array([len(times) - 1]))
    counts = (np.array([histograms[0].count]), np.array([moved.count]))
    with np.errstate(all="ignore"):
        factor = float(series.extrapolation(spans, window.range_ms, *counts, counter=counter)[0])
    return moved.times(factor / (window.range_ms / 1000) if window.node.name == "rate" else factor)


def _nothing_of(one: Histogram) -> Histogram:
    return Histogram(0.0, 0.0, one.schema, bounds=one.bounds)


def moved_between(window: Window, histograms: list[Histogram], *, counter: bool) -> Histogram | None:
    """Take the first histogram from the last, and add what was lost at resets; None where they do not fit."""
    first, last = histograms[0], histograms[-1]
    if counter and any(one.hint is Hint.GAUGE for one in histograms):
        window.warn(notes.no_counter(window.name))
    if counter and window.was_reset(1, histograms[1], first):  # what the first one looks like is of no matter then
        first = _nothing_of(histograms[1])
    looked_at = [first, last, *(histograms[1:-1] if counter else ())]
    if any(one.custom != first.custom for one in looked_at):
        window.warn(notes.mixed_buckets(window.name))
        return None
    moved = window.tell(subtract(last, first), "subtraction")
    if counter:
        before = first
        for number, now in enumerate(histograms[1:], 1):
            if number > 1 and window.was_reset(number, now, before):
                moved = window.tell(add(moved, before), "addition")
            before = now
        if not first.custom:
            moved = moved.at_resolution(min(one.schema for one in looked_at))
    elif Hint.GAUGE is not histograms[0].hint or Hint.GAUGE is not last.hint:
        window.warn(notes.no_gauge(window.name))
    return replace(moved, hint=Hint.GAUGE)


def _instant(window: Window) -> Cell:
    """Give irate and idelta: of the last two samples."""
    if len(window.times) < 2:
        return None
    counter = window.node.name == "irate"
    if not window.native[-2:].any():
        before, last = window.values[-2:].tolist()
        moved_by = last if counter and last < before else last - before
        return moved_by / ((int(window.times[-1]) - int(window.times[-2])) / 1000) if counter else moved_by
    if not window.native[-2:].all():
        window.warn(notes.mixed(window.name))
        return None
    first, second = window.histograms[-2:]
    window.warn_of_kind([first, second], counter=counter)
    moved = second
    if not counter or not window.was_reset(len(window.times) - 1, second, first):
        try:
            moved = window.tell(subtract(second, first), "subtraction")
        except IncompatibleSchemas:
            window.warn(notes.mixed_buckets(window.name))
            return None
    moved = replace(moved, hint=Hint.GAUGE)
    return moved.over((int(window.times[-1]) - int(window.times[-2])) / 1000) if counter else moved


# --- what there was -------------------------------------------------------------------------------------------


def _sum(window: Window) -> Cell:
    if window.is_mixed:
        window.warn(notes.mixed(window.name))
        return None
    try:
        found = (total if window.node.name == "sum_over_time" else mean)(window.histograms)
    except IncompatibleSchemas:
        window.warn(notes.mixed_buckets(window.name))
        return None
    return notes.told(window.query.notes, found, "aggregation", window.place)


def _count_pairs(
    happened: Callable[[Window, int, float | Histogram, float | Histogram], bool],
) -> Callable[[Window], Cell]:
    def count(window: Window) -> Cell:
        held = iter(window.histograms)
        cells = [
            next(held) if native else value for value, native in zip(window.values.tolist(), window.native, strict=True)
        ]
        return float(sum(happened(window, at, cells[at], cells[at - 1]) for at in range(1, len(cells))))

    return count


def _changed(_window: Window, _at: int, now: float | Histogram, before: float | Histogram) -> bool:
    if isinstance(now, Histogram) or isinstance(before, Histogram):
        return now != before
    return now != before and not (np.isnan(now) and np.isnan(before))


def _fell(window: Window, at: int, now: float | Histogram, before: float | Histogram) -> bool:
    if isinstance(now, Histogram) and isinstance(before, Histogram):
        return window.was_reset(at, now, before)
    return isinstance(now, Histogram) or isinstance(before, Histogram) or now < before


def _ignored(window: Window) -> Cell:
    """Say that a function of floats left histograms out."""
    if window.is_mixed:
        window.inform(notes.ignored_in_range(window.name))
    return None


HANDLERS: dict[str, Callable[[Window], Cell]] = {
    "rate": _rate,
    "increase": _rate,
    "delta": _rate,
    "irate": _instant,
    "idelta": _instant,
    "sum_over_time": _sum,
    "avg_over_time": _sum,
    "changes": _count_pairs(_changed),
    "resets": _count_pairs(_fell),
}
