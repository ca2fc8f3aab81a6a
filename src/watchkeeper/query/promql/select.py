"""From selectors to matrices: which samples each step sees.

Ranges and lookback are left-open, (t - range, t], as in Prometheus 3.
"""

from collections.abc import Callable

import numpy as np

from watchkeeper.model.frame import Floats, is_absent, is_stale
from watchkeeper.model.labels import Ints, LabelTable
from watchkeeper.model.stacked import Stacked
from watchkeeper.query.promql import thinned
from watchkeeper.query.promql.ast import MatrixSelector, VectorSelector, ms
from watchkeeper.query.promql.context import Query, Steps
from watchkeeper.query.promql.matrix import Mask, Vector, ever
from watchkeeper.query.promql.starts import newest_starts
from watchkeeper.query.promql.windows import RangeVector, Windows, windows_of


def window_ends(steps: Steps, at_ms: int | None, offset_ms: int) -> Ints:
    """Give the right ends of the windows of all steps: moved by the offset, or held at one moment by @."""
    return (steps.times if at_ms is None else np.full(len(steps), at_ms, np.int64)) - offset_ms


def empty_vector(query: Query, steps: Steps) -> Vector:
    """Give a vector without series."""
    labels = LabelTable((), np.zeros((0, 0), np.int32), query.symbols)
    return Vector(labels, np.zeros((0, len(steps))), np.zeros((0, len(steps)), np.bool_))


def select_range(query: Query, node: MatrixSelector, steps: Steps) -> RangeVector:
    """Give the windows of a range selector."""
    selector = node.vector
    ends = window_ends(steps, query.resolve(selector.at), ms(selector.offset_ms))
    return _windows(query, selector, steps, ends, ms(node.range_ms), keep_stale=False)


def select_vector(query: Query, node: VectorSelector, steps: Steps) -> Vector:
    """Give the newest sample of each series at each step; series without any are left out."""
    return _seen(_lookup(query, node, steps, _newest))


def select_times(query: Query, node: VectorSelector, steps: Steps) -> Vector:
    """Give the time of the newest sample, in seconds, in place of its value."""
    return _seen(_lookup(query, node, steps, _newest_times))


def select_starts(query: Query, node: VectorSelector, steps: Steps) -> Vector:
    """Give the start timestamp of the newest sample, in seconds, in place of its value; 0 where none is known."""
    return _seen(_lookup(query, node, steps, _newest_starts))


def _seen(vector: Vector) -> Vector:
    if vector.present.all():
        return vector
    seen = ever(vector.present)
    return vector if seen.all() else vector.take(seen)


def _lookup(query: Query, node: VectorSelector, steps: Steps, pick: Callable[[Windows], tuple[Floats, Mask]]) -> Vector:
    ends = window_ends(steps, query.resolve(node.at), ms(node.offset_ms))
    found = thinned.newest(query, node, steps, ends)
    if found is not None:
        labels, values, times, present = found
        if pick is _newest_starts:
            values = np.zeros(values.shape)
        return Vector(labels, times / 1000 if pick is _newest_times else values, present)
    ranges = _windows(query, node, steps, ends, query.lookback_ms, keep_stale=True)
    query.budget.charge(len(ranges.labels) * len(steps))
    values, present = ranges.apply(pick)
    if query.tally is not None:
        query.tally.add(query.histograms.touched(values, present))
    return Vector(ranges.labels, values, present)


def _newest(windows: Windows) -> tuple[Floats, Mask]:
    values = windows.values.take(windows.last, axis=1)
    return values, windows.filled() & ~is_stale(values)


def _newest_times(windows: Windows) -> tuple[Floats, Mask]:
    _, present = _newest(windows)
    return windows.by_row(windows.times_at(windows.last) / 1000), present


def _newest_starts(windows: Windows) -> tuple[Floats, Mask]:
    return newest_starts(windows)[0], _newest(windows)[1]


def _of_one_moment(
    query: Query, found: Stacked, steps: Steps, end_ms: int, range_ms: int, *, keep_stale: bool
) -> RangeVector:
    """Lay one window over each series."""
    size = len(found.labels)
    labels = LabelTable(found.labels.names, found.labels.codes, query.symbols)
    query.budget.read_samples += len(found.values)
    query.budget.charge(len(found.values) + size)
    query.budget.release(size)
    if not len(found.values):
        return RangeVector(empty_vector(query, steps).labels, [], 1)
    values, times, starts = found.values, found.times, found.starts
    if found.gaps:
        keep = ~is_absent(values)
        if not keep_stale:
            keep &= ~is_stale(values)
        before = np.concatenate([[0], np.cumsum(keep)])
        values, times, starts = values[keep], times[keep], before[starts]
        if not len(times):  # every index must stay valid
            values, times = np.zeros(1), np.zeros(1, np.int64)
    ends, at = np.full(size, end_ms), np.full(size, steps.start_ms)
    block = Windows(values[None, :], times, starts[:-1], starts[1:], ends, at, range_ms, (size, 1))
    return RangeVector(labels, [block], 1)


def _windows(
    query: Query, selector: VectorSelector, steps: Steps, ends: Ints, range_ms: int, *, keep_stale: bool
) -> RangeVector:
    start_ms, end_ms = int(ends.min()) - range_ms + 1, int(ends.max())
    if len(steps) == 1 and query.recent is not None and not query.wants_sums(selector):
        found = query.recent.recent(selector.matchers, start_ms, end_ms, newest=keep_stale)
        if found is not None:
            return _of_one_moment(query, found, steps, end_ms, range_ms, keep_stale=keep_stale)
    frames = query.select(selector.matchers, start_ms, end_ms, resets_told=query.wants_sums(selector))
    thinned.warn_of_gone(query, start_ms)
    if not frames:
        return RangeVector(empty_vector(query, steps).labels, [], len(steps))
    cells = sum(len(frame.labels) for frame in frames) * len(steps)
    query.budget.charge(cells)  # before the bounds of all windows are laid out in memory
    tables, blocks = windows_of(frames, ends, steps.times, range_ms, keep_stale=keep_stale)
    query.budget.release(cells)
    return RangeVector(query.joined(tables), blocks, len(steps))
