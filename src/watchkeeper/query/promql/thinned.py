"""Long ranges from downsampling tiers: the windows of a function made of whole stretches of time.

Where every window begins and ends between stretches, the answer is that of the samples themselves (sums but for their
rounding). Where the samples are gone, windows are moved to the borders between stretches; the reference says how far.
"""

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np

from watchkeeper.model.frame import Floats
from watchkeeper.model.labels import Ints, LabelTable
from watchkeeper.model.thinned import Thinned
from watchkeeper.query.promql.ast import Call, MatrixSelector, VectorSelector, ms
from watchkeeper.query.promql.context import Query, Steps
from watchkeeper.query.promql.functions import over_time
from watchkeeper.query.promql.functions.rate import extrapolated
from watchkeeper.query.promql.matrix import Mask
from watchkeeper.query.promql.windows import Windows

_WANTED = {
    "rate": ("first", "last", "lost"),
    "increase": ("first", "last", "lost"),
    "delta": ("first", "last"),
    "avg_over_time": ("sum",),
    "sum_over_time": ("sum",),
    "count_over_time": (),
    "present_over_time": (),
    "min_over_time": ("min",),
    "max_over_time": ("max",),
    "first_over_time": ("first",),
    "last_over_time": ("last",),
}
_GROW_WITH_RANGE = ("increase", "delta", "sum_over_time", "count_over_time")
Found = tuple[LabelTable, Floats, Mask]


class _Grid:
    """Thinned samples, and the stretches lo to hi-1 that make each step's window."""

    def __init__(self, thin: Thinned, ends: Ints, range_ms: int) -> None:
        self.thin, self.ends, self.range_ms = thin, ends, range_ms
        self.hi = (ends - int(thin.ends[0])) // thin.every_ms + 1
        self.lo = self.hi - range_ms // thin.every_ms
        self.there = thin.values["count"] > 0
        number = np.arange(len(thin.ends))
        self._newest = np.maximum.accumulate(np.where(self.there, number, -1), axis=1)
        counts = np.zeros((len(self.there), len(number) + 1))
        np.cumsum(thin.values["count"], axis=1, out=counts[:, 1:])
        self.counts = counts[:, self.hi] - counts[:, self.lo]

    def last(self) -> Ints:
        """Give the newest stretch of each window that has samples; any where none has."""
        return np.maximum(self._newest[:, self.hi - 1], 0)

    def first(self) -> Ints:
        """Give the oldest one."""
        width = self.there.shape[1]
        backwards = np.where(self.there, np.arange(width), width - 1)[:, ::-1]
        oldest = np.minimum.accumulate(backwards, axis=1)[:, ::-1]
        return np.asarray(oldest[:, self.lo])

    def windows(self, name: str, empty: float) -> Windows:
        """Give an aggregate as samples, one a stretch; `empty` where there is none."""
        values = np.where(self.there, self.thin.values[name], empty)
        form = (len(values), len(self.ends))
        return Windows(values, self.thin.ends, self.lo, self.hi, self.ends, self.ends, self.range_ms, form)

    def at(self, name: str, stretch: Ints) -> Floats:
        """Give "first" or "last" of one stretch a window."""
        return np.take_along_axis(self.thin.values[name], stretch, axis=1)

    def time_at(self, name: str, stretch: Ints) -> Ints:
        """Give its time."""
        return np.take_along_axis(self.thin.times[name], stretch, axis=1)


def range_function(query: Query, node: Call, selector: MatrixSelector, ends: Ints) -> Found | None:
    """Evaluate a function over a range from a tier; None when the samples themselves are to be read."""
    wanted = _WANTED.get(node.name)
    if query.thinned is None or wanted is None or selector.vector.extended or not len(ends):
        return None
    range_ms = ms(selector.range_ms)
    start_ms, end_ms = int(ends.min()) - range_ms, int(ends.max())
    chosen = query.thinned.choose(start_ms, end_ms, _fits(ends, range_ms))
    if chosen is None or _is_native(query, selector.vector, end_ms):
        return None
    every_ms, _ = chosen
    moved, wide_ms = ends // every_ms * every_ms, max(1, (range_ms + every_ms // 2) // every_ms) * every_ms
    grid = _Grid(_read(query, selector.vector, every_ms, moved, wide_ms, wanted), moved, wide_ms)
    with np.errstate(all="ignore"):
        values, present = _apply(node.name, grid)
    if wide_ms != range_ms and node.name in _GROW_WITH_RANGE:
        values = values * (range_ms / wide_ms)
    if query.tally is not None:
        query.tally.add(grid.counts.sum(axis=0).astype(np.int64))
    return grid.thin.labels, values, present


def newest(
    query: Query, node: VectorSelector, steps: Steps, ends: Ints
) -> tuple[LabelTable, Floats, Ints, Mask] | None:
    """Give the newest sample at each step from a tier, its time (Unix ms), and whether there is one; None as above."""
    if query.thinned is None or not len(steps):
        return None
    lookback_ms = query.lookback_ms
    chosen = query.thinned.choose(int(ends.min()) - lookback_ms, int(ends.max()), _fits(ends, 0))
    if chosen is None or _is_native(query, node, int(ends.max())):
        return None
    every_ms, fits = chosen
    wide_ms = -(-lookback_ms // every_ms) * every_ms
    moved = ends // every_ms * every_ms
    thin = _read(query, node, every_ms, moved, wide_ms, ("last",))
    hi = (moved - int(thin.ends[0])) // every_ms + 1
    known = (thin.values["count"] > 0) | (thin.times["stale"] > 0)
    at = np.maximum.accumulate(np.where(known, np.arange(known.shape[1]), -1), axis=1)[:, hi - 1]
    there = (at >= 0) & (at >= hi - wide_ms // every_ms)
    at = np.maximum(at, 0)
    values = np.take_along_axis(thin.values["last"], at, axis=1)
    times = np.take_along_axis(thin.times["last"], at, axis=1)
    ended = np.take_along_axis(thin.times["stale"], at, axis=1) > times
    back_ms = lookback_ms if fits else wide_ms
    there &= ~ended & (times > moved - back_ms) & np.take_along_axis(thin.values["count"] > 0, at, axis=1)
    if query.tally is not None:
        query.tally.add(there.sum(axis=0))
    return thin.labels, values, times, there


def warn_of_gone(query: Query, start_ms: int) -> None:
    """Say when a part of what is read is kept downsampled alone, where only samples would do."""
    gone_ms = None if query.thinned is None else query.thinned.gone_before_ms(start_ms)
    if gone_ms is not None:
        when = f"{datetime.fromtimestamp(gone_ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
        query.notes.pass_on([f"samples before {when} are kept downsampled alone, and left out where that will not do"])


def _is_native(query: Query, node: VectorSelector, end_ms: int) -> bool:
    """Say whether a selector's newest samples have native histograms among them: no tier keeps these."""
    frames = query.select(node.matchers, end_ms - query.lookback_ms + 1, end_ms)
    return any(query.histograms.where(frame.values) is not None for frame in frames)


def _fits(ends: Ints, range_ms: int) -> Callable[[int], bool]:
    def fits(every_ms: int) -> bool:
        return range_ms % every_ms == 0 and not (ends % every_ms).any()

    return fits


def _read(
    query: Query, node: VectorSelector, every_ms: int, ends: Ints, range_ms: int, wanted: tuple[str, ...]
) -> Thinned:
    assert query.thinned is not None
    between = int(ends.min()) - range_ms + every_ms, int(ends.max())
    thin = query.thinned.thinned(node.matchers, every_ms, between, wanted, query.budget.charge)
    query.budget.read_samples += thin.values["count"].size * len(thin.values)
    query.notes.pass_on(thin.warnings)
    query.budget.charge(len(thin.labels) * len(ends))
    if query.trace is not None:
        query.trace.read_tier(every_ms)
    labels = LabelTable(thin.labels.names, thin.labels.codes, query.symbols)
    return Thinned(labels, every_ms, thin.ends, thin.values, thin.times, thin.warnings)


def _apply(name: str, grid: _Grid) -> tuple[Floats, Mask]:
    some = grid.counts > 0
    if name in ("rate", "increase", "delta"):
        return _moved(name, grid), grid.counts >= 2
    if name == "count_over_time":
        return grid.counts, some
    if name == "present_over_time":
        return np.ones(grid.counts.shape), some
    if name in ("first_over_time", "last_over_time"):
        which = name.partition("_")[0]
        return grid.at(which, grid.first() if which == "first" else grid.last()), some
    if name in ("min_over_time", "max_over_time"):
        return over_time.RANGE[name](grid.windows(name[:3], np.nan))[0], some
    total, _ = over_time.sum_over_time(grid.windows("sum", 0.0))
    return (total / grid.counts if name == "avg_over_time" else total), some


def _moved(name: str, grid: _Grid) -> Floats:
    first, last = grid.first(), grid.last()
    begin = grid.at("first", first)
    moved = grid.at("last", last) - begin
    if name != "delta":
        moved = moved + _lost(grid, first, last)
    begin_ms, end_ms = grid.time_at("first", first), grid.time_at("last", last)
    sampled = (end_ms - begin_ms) / 1000
    to_start = (begin_ms - (grid.ends - grid.range_ms)) / 1000
    to_end = (grid.ends - end_ms) / 1000
    spans = sampled, to_start, to_end, sampled / np.maximum(grid.counts - 1, 1)
    return extrapolated(begin, moved, spans, grid.range_ms if name == "rate" else 0, counter=name != "delta")


def _lost(grid: _Grid, first: Ints, last: Ints) -> Floats:
    """Give what was lost at resets: within stretches, and from one to the next."""
    values = grid.thin.values
    inside = np.where(grid.there, values["lost"], 0.0)
    before = np.full(grid.there.shape, -1)
    before[:, 1:] = np.maximum.accumulate(np.where(grid.there, np.arange(grid.there.shape[1]), -1), axis=1)[:, :-1]
    earlier = np.take_along_axis(values["last"], np.maximum(before, 0), axis=1)
    between = np.where(grid.there & (before >= 0) & (values["first"] < earlier), earlier, 0.0)
    if not inside.any() and not between.any():
        return np.zeros(first.shape)
    total = np.zeros((len(inside), inside.shape[1] + 1))
    np.cumsum(inside + between, axis=1, out=total[:, 1:])
    upto = np.take_along_axis(total, last + 1, axis=1)
    since = np.take_along_axis(total, first, axis=1) + np.take_along_axis(between, first, axis=1)
    return np.asarray(upto - since)
