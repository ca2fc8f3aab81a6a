"""Range selectors that look past their ends: anchored takes the sample before, smoothed interpolates at both ends.

source  Prometheus 3.x, promql/functions.go extendedRate, pickOrInterpolateLeft, correctForCounterResets; PROM-52
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from watchkeeper.model.errors import BadQuery
from watchkeeper.model.frame import Floats, FrameSlice, is_stale
from watchkeeper.model.labels import Ints
from watchkeeper.query.promql.ast import Call, MatrixSelector, VectorSelector, ms
from watchkeeper.query.promql.context import Query, Steps
from watchkeeper.query.promql.functions import rate
from watchkeeper.query.promql.histograms import extended as histograms
from watchkeeper.query.promql.histograms.extended import Edges
from watchkeeper.query.promql.matrix import Mask, Vector, ever
from watchkeeper.query.promql.select import empty_vector, window_ends
from watchkeeper.query.promql.windows import RangeVector, Windows, windows_of

_TAKES = {
    "anchored": ("changes", "delta", "increase", "rate", "resets"),
    "smoothed": ("delta", "increase", "rate"),
}
Found = tuple[Floats, Mask]


def check_function(node: Call, kind: str) -> None:
    """Refuse a function that does not know what to do with the samples beyond the range.

    raises  BadQuery in Prometheus' words
    """
    if node.name not in _TAKES[kind]:
        known = ", ".join(_TAKES[kind])
        raise BadQuery(f"{kind} modifier can only be used with: {known} - not with {node.name}")


def moved(query: Query, node: Call, selector: MatrixSelector, steps: Steps) -> tuple[RangeVector, Floats, Mask]:
    """Evaluate rate and its kin over an anchored or smoothed range.

    returns  the windows (samples and labels), float64[series, steps], bool[series, steps]
    """
    vector, range_ms, smooth = selector.vector, ms(selector.range_ms), selector.vector.extended == "smoothed"
    check_function(node, vector.extended)
    ends = window_ends(steps, query.resolve(vector.at), ms(vector.offset_ms))
    wide, pairs = _wide(query, vector, steps, ends, range_ms, after_ms=query.lookback_ms if smooth else 0)
    values, present = np.empty((len(wide.labels), len(steps))), np.empty((len(wide.labels), len(steps)), np.bool_)
    start = 0
    for outer, inner in pairs:
        edges = _edges(outer, inner, smooth=smooth)
        floats = _moved(node.name, outer, inner, edges, smooth=smooth)
        found, there = histograms.replaced(query, node, outer, edges, (wide.labels, start), floats, smooth=smooth)
        here, form = slice(start, start + outer.shape[0]), (outer.values.shape[0], len(outer.lo))
        values[here] = np.broadcast_to(found, form).reshape(outer.shape)
        present[here] = np.broadcast_to(there, form).reshape(outer.shape)
        start += outer.shape[0]
    return wide, values, present


def _wide(
    query: Query, vector: VectorSelector, steps: Steps, ends: Ints, range_ms: int, *, after_ms: int
) -> tuple[RangeVector, list[tuple[Windows, Windows]]]:
    """Give the windows with what lies before and after the range, each beside the one of the range itself."""
    before_ms = range_ms + query.lookback_ms
    frames = query.select(vector.matchers, int(ends.min()) - before_ms + 1, int(ends.max()) + after_ms)
    if not frames:
        return RangeVector(empty_vector(query, steps).labels, [], len(steps)), []
    query.budget.charge(2 * _cells(frames, steps))
    tables, outer = windows_of(frames, ends + after_ms, steps.times, before_ms + after_ms, keep_stale=False)
    _, inner = windows_of(frames, ends, steps.times, range_ms, keep_stale=False)
    query.budget.release(2 * _cells(frames, steps))
    if not outer:
        return RangeVector(empty_vector(query, steps).labels, [], len(steps)), []
    return RangeVector(query.joined(tables), outer, len(steps)), list(zip(outer, inner, strict=True))


def _cells(frames: Sequence[FrameSlice], steps: Steps) -> int:
    return sum(len(frame.labels) for frame in frames) * len(steps)


def _edges(outer: Windows, inner: Windows, *, smooth: bool) -> Edges:
    times, end_ms = outer.times, inner.ends_ms
    start_ms = end_ms - inner.range_ms
    first = np.minimum(np.maximum(outer.lo, inner.lo - 1), len(times) - 1)
    last = outer.last
    if smooth:  # the first sample at or after the end, else the last there is
        exact = (inner.hi > outer.lo) & (times[inner.last] == end_ms)
        last = np.minimum(np.where(exact, inner.hi - 1, inner.hi), last)
    last = np.maximum(last, 0)
    there = (outer.hi > outer.lo) & (times[last] > start_ms) & (times[first] <= end_ms)
    return Edges(first, last, np.asarray(there), start_ms, end_ms)


def _moved(name: str, outer: Windows, inner: Windows, edges: Edges, *, smooth: bool) -> Found:
    times, first, last, there = outer.times, edges.first, edges.last, edges.there
    start_ms, end_ms = edges.start_ms, edges.end_ms
    if name in ("changes", "resets"):
        last = np.maximum(last, first)
        found, _ = rate.RANGE[name](replace(outer, lo=first, hi=last + 1))
        return found, there[None, :]
    counter = name != "delta"
    left, right = outer.values.take(first, axis=1), outer.values.take(last, axis=1)
    if smooth:
        early = there & (times[first] < start_ms)
        left = np.where(early, _between(outer, first, first + 1, start_ms, counter=counter), left)
        late = there & (times[last] > end_ms) & (last > outer.lo)
        right = np.where(late, _between(outer, last - 1, last, end_ms, counter=counter), right)
    with np.errstate(invalid="ignore"):
        change = right - left
    if counter:
        change = change + _corrected(outer.values, first, last, left, right)
    return change / (inner.range_ms / 1000) if name == "rate" else change, there[None, :]


def _between(windows: Windows, before: Ints, after: Ints, at_ms: Ints, *, counter: bool) -> Floats:
    """Interpolate between two samples; a counter that fell had started again from 0."""
    limit = len(windows.times) - 1
    before, after = np.clip(before, 0, limit), np.clip(after, 0, limit)
    low, high = windows.values.take(before, axis=1), windows.values.take(after, axis=1)
    if counter:
        low = np.where(high < low, 0.0, low)
    apart = (windows.times[after] - windows.times[before]).astype(np.float64)
    with np.errstate(all="ignore"):
        return low + (high - low) * (at_ms - windows.times[before]) / apart


def _corrected(values: Floats, first: Ints, last: Ints, left: Floats, right: Floats) -> Floats:
    """Give what was lost at resets between two ends: the value before each, over the samples between the ends."""
    fell = np.where(values[:, 1:] < values[:, :-1], values[:, :-1], 0.0)
    total = np.zeros(values.shape)
    np.cumsum(fell, axis=1, out=total[:, 1:])
    limit = values.shape[1] - 1
    begin, finish = np.minimum(first + 1, limit), np.clip(last - 1, 0, limit)
    any_between = finish >= first + 1
    one, other = values.take(begin, axis=1), values.take(finish, axis=1)
    inside = total.take(finish, axis=1) - total.take(begin, axis=1) + np.where(one < left, left, 0.0)
    newest = np.where(any_between, other, left)
    return np.where(any_between, inside, 0.0) + np.where(right < newest, newest, 0.0)


def smoothed_vector(query: Query, node: VectorSelector, steps: Steps) -> Vector:
    """Give each series' value at each step, interpolated between the samples before and after it."""
    lookback_ms = query.lookback_ms
    ends = window_ends(steps, query.resolve(node.at), ms(node.offset_ms))
    frames = query.select(node.matchers, int(ends.min()) - lookback_ms + 1, int(ends.max()) + lookback_ms)
    if not frames:
        return empty_vector(query, steps)
    tables, outer = windows_of(frames, ends + lookback_ms, steps.times, 2 * lookback_ms, keep_stale=True)
    _, inner = windows_of(frames, ends, steps.times, lookback_ms, keep_stale=True)
    labels = query.joined(tables)
    query.budget.charge(len(labels) * len(steps))
    values, present = np.empty((len(labels), len(steps))), np.empty((len(labels), len(steps)), np.bool_)
    start = 0
    for wide, near in zip(outer, inner, strict=True):
        found, there = histograms.interpolated(query, node, (wide, near), (labels, start), _interpolated(wide, near))
        here, form = slice(start, start + wide.shape[0]), (wide.values.shape[0], len(wide.lo))
        values[here] = np.broadcast_to(found, form).reshape(wide.shape)
        present[here] = np.broadcast_to(there, form).reshape(wide.shape)
        start += wide.shape[0]
    seen = ever(present)
    return Vector(labels.take(seen), values[seen], present[seen])


def _interpolated(wide: Windows, near: Windows) -> Found:
    newest = wide.values.take(near.last, axis=1)
    there = near.filled() & ~is_stale(newest)
    after = np.minimum(near.hi, len(wide.times) - 1)
    follows = (near.hi < wide.hi) & (wide.times[near.last] != near.ends_ms)
    use = there & follows & ~is_stale(wide.values.take(after, axis=1))
    return np.where(use, _between(wide, near.last, after, near.ends_ms, counter=False), newest), there
