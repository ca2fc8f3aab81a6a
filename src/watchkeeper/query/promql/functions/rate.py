"""rate, increase, delta and their kin: how much a series moved inside each window.

source  Prometheus 3.5, promql/functions.go extrapolatedRate, instantValue
"""

import numpy as np

from watchkeeper.model.frame import Floats
from watchkeeper.model.labels import Ints
from watchkeeper.query.promql.matrix import Mask
from watchkeeper.query.promql.starts import began_anew, usable
from watchkeeper.query.promql.windows import Windows, count_pairs

Found = tuple[Floats, Mask]
Spans = tuple[Floats, Floats, Floats, Floats]
_MARGIN, _TINY = 1 + 1e-9, 1e-300


def rate(windows: Windows) -> Found:
    """Give a counter's increase per second, extrapolated to the window's ends."""
    return _extrapolated(windows, counter=True, per_second=True)


def increase(windows: Windows) -> Found:
    """Give a counter's increase, extrapolated to the window's ends."""
    return _extrapolated(windows, counter=True, per_second=False)


def delta(windows: Windows) -> Found:
    """Give a gauge's difference, extrapolated to the window's ends."""
    return _extrapolated(windows, counter=False, per_second=False)


def irate(windows: Windows) -> Found:
    """Give the increase per second between the last two samples."""
    before, last = np.maximum(windows.last - 1, 0), windows.last
    newest, older = windows.values.take(last, axis=1), windows.values.take(before, axis=1)
    fell = newest < older
    if windows.starts is not None:
        fell |= began_anew(windows.starts, windows.times).take(np.minimum(before, len(windows.times) - 2))
    moved = np.where(fell, newest, newest - older)
    seconds = (windows.times_at(last) - windows.times_at(before)) / 1000
    moved /= windows.by_row(seconds)
    return moved, windows.filled(2)


def idelta(windows: Windows) -> Found:
    """Give the difference between the last two samples."""
    newest = windows.values.take(windows.last, axis=1)
    return newest - windows.values.take(np.maximum(windows.last - 1, 0), axis=1), windows.filled(2)


def changes(windows: Windows) -> Found:
    """Count how often the value changed; NaN to NaN is no change."""
    left, right = windows.values[:, :-1], windows.values[:, 1:]
    changed = left != right
    changed &= ~(np.isnan(left) & np.isnan(right))
    return count_pairs(windows, changed), windows.filled()


def resets(windows: Windows) -> Found:
    """Count how often the value went down, or its counter began anew."""
    return count_pairs(windows, _fell(windows)), windows.filled()


def _fell(windows: Windows) -> Mask:
    """Say between which neighbouring samples a counter was reset; bool[r, c - 1]."""
    fell = windows.values[:, 1:] < windows.values[:, :-1]
    return fell if windows.starts is None else fell | began_anew(windows.starts, windows.times)


def _extrapolated(windows: Windows, *, counter: bool, per_second: bool) -> Found:
    first, last = windows.first, windows.last
    begin = windows.values.take(first, axis=1)
    moved = windows.values.take(last, axis=1)
    moved -= begin
    if counter:
        _add_resets(windows, moved)
    range_ms = windows.range_ms if per_second else 0
    spans = _spans(windows, first, last)
    enough = windows.filled(2)
    if counter and windows.starts is not None:
        spans, known = _from_starts(windows, first, last, spans)
        moved += np.where(known, begin, 0)
        enough = enough | (windows.filled() & known)
    found = extrapolated(begin, moved, spans, range_ms, counter=counter, spans_of=windows.grid_of)
    return found, enough


def _from_starts(windows: Windows, first: Ints, last: Ints, spans: Spans) -> tuple[Spans, Mask]:
    """Let windows begin where their first sample's counter did, if that is inside: it was zero there.

    returns  the spans, and bool[w]: of which windows that is known
    """
    assert windows.starts is not None
    start_ms = windows.starts.take(first)
    known = usable(start_ms, windows.times.take(first), windows.ends_ms - windows.range_ms)
    sampled, to_start, to_end, mean = spans
    sampled = np.where(known, (windows.times.take(last) - start_ms) / 1000, sampled)
    return (sampled, np.where(known, 0.0, to_start), to_end, mean), known


def extrapolated(
    begin: Floats,
    moved: Floats,
    spans: Spans,
    range_ms: int,
    *,
    counter: bool,
    spans_of: Ints | None = None,
) -> Floats:
    """Carry what moved between the first and the last sample on to the window's ends.

    begin, moved  the first sample, and the difference, resets added; `moved` is the function's to change
    spans         seconds: first to last sample, start to first, last to end, mean between samples
    range_ms      0: not divided by the range
    spans_of      int64[r]: the row of the spans that each row has; None: they broadcast
    """
    sampled, to_start, to_end, mean = spans
    threshold = mean * 1.1
    to_start = np.where(to_start >= threshold, mean / 2, to_start)
    to_end = np.where(to_end >= threshold, mean / 2, to_end)
    seconds = range_ms / 1000 if range_ms else 1.0
    factor = (sampled + to_start + to_end) / sampled / seconds
    # A counter cannot have been below zero: reach back no further than to where it would have been zero.
    reach = to_start / sampled
    young = _young(begin, moved, reach if spans_of is None else np.fmax.reduce(reach)) if counter else ()
    if spans_of is not None:
        factor = factor.take(spans_of, axis=0)
    if not len(young):
        moved *= factor
        return moved
    begin, grown = begin[young], moved[young]
    if spans_of is None:
        sampled, to_start, to_end = (np.broadcast_to(one, moved.shape)[young] for one in (sampled, to_start, to_end))
    else:
        where = spans_of[young[0]], young[1]
        sampled, to_start, to_end = sampled[where], to_start[where], to_end[where]
    to_zero = np.fmin(sampled * (begin / grown), to_start)
    moved *= factor
    moved[young] = (sampled + to_zero + to_end) / sampled / seconds * grown
    return moved


def _young(begin: Floats, moved: Floats, reach: Floats) -> tuple[Ints, ...]:
    """Find the cells whose counter may have been zero inside the window, as it grew in it: few, as a rule.

    reach    how far the window's start is before the first sample, as a share of the time to the last
    returns  their indices; of some more, because of the margin for rounding; () for none
    """
    limit = moved * (reach * _MARGIN)
    limit += _TINY
    found = begin <= limit
    if not found.any():
        return ()
    found &= (moved > 0) & (begin >= 0)
    return np.nonzero(found)


def _spans(windows: Windows, first: Ints, last: Ints) -> Spans:
    """Give, in seconds and a window: sampled span, start to first sample, last sample to end, mean between samples."""
    begin_ms, end_ms = windows.times_at(first), windows.times_at(last)
    sampled = (end_ms - begin_ms) / 1000
    to_start = (begin_ms - (windows.ends_ms - windows.range_ms)) / 1000
    to_end = (windows.ends_ms - end_ms) / 1000
    return sampled, to_start, to_end, sampled / np.maximum(windows.counts - 1, 1)


def _add_resets(windows: Windows, moved: Floats) -> None:
    """Add, in place, what counters had reached before each reset inside the window.

    Resets are rare: only their places are kept, and only windows with one are summed again.
    """
    values = windows.values
    fell = _fell(windows)
    if not fell.any():
        return
    rows = np.nonzero(fell.any(axis=1))[0]
    before = np.zeros((len(rows), values.shape[1]), np.int64)
    np.cumsum(fell[rows], axis=1, out=before[:, 1:])
    before[1:] += np.cumsum(before[:-1, -1])[:, None]
    lost = np.append(values[rows][:, :-1][fell[rows]], 0.0)
    start, stop = before.take(windows.first, axis=1), before.take(windows.last, axis=1)
    row, window = np.nonzero((stop > start) & windows.filled(2))
    if not len(row):
        return
    pairs = np.stack([start[row, window], stop[row, window]], axis=1).ravel()
    moved[rows[row], window] += np.add.reduceat(lost, pairs)[::2]


RANGE = {
    "rate": rate, "increase": increase, "delta": delta, "irate": irate, "idelta": idelta,
    "changes": changes, "resets": resets,
}  # fmt: skip
