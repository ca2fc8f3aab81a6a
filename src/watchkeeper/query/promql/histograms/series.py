"""Functions over the windows of one series of histograms, all of its steps at once.

A series qualifies whose histograms share a layout; hints that make a function warn send it the way of single windows.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from watchkeeper.model.frame import Floats, Times
from watchkeeper.model.histogram import Hint
from watchkeeper.model.labels import Ints
from watchkeeper.query.promql.functions import over_time
from watchkeeper.query.promql.histogram_columns import Columns, hints_of_sums
from watchkeeper.query.promql.matrix import Mask
from watchkeeper.query.promql.windows import Windows

Found = tuple[Columns, Mask]


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """The histograms of a series and the windows over them.

    times    int64[n]
    lo, hi   int64[w]: window w is the samples lo[w] to hi[w]-1
    ends_ms  int64[w]
    """

    columns: Columns
    times: Times
    lo: Ints
    hi: Ints
    ends_ms: Ints
    range_ms: int


def evaluate(name: str, series: Series) -> Found | None:
    """Evaluate a function of a range vector.

    returns  the histograms of the windows that have one, in their order, and bool[w]; None when it can't be done so
    """
    gauges = series.columns.hints == Hint.GAUGE
    wanted = _GAUGES.get(name)
    if name not in _FUNCTIONS or (wanted is not None and (gauges != wanted).any()):
        return None
    with np.errstate(all="ignore"):
        return _FUNCTIONS[name](name, series)


def _rate(name: str, series: Series) -> Found:
    there = series.hi - series.lo >= 2
    lo, last = series.lo[there], series.hi[there] - 1
    numbers = series.columns.numbers
    moved = numbers[last] - numbers[lo]
    counter = name != "delta"
    if counter:
        _add_lost(series.columns, moved, lo, last)
    times = series.times
    spans = (times[lo], times[last], series.ends_ms[there], last - lo)
    factors = extrapolation(spans, series.range_ms, numbers[lo, 0], moved[:, 0], counter=counter)
    if name == "rate":
        factors /= series.range_ms / 1000
    return series.columns.of(moved * factors[:, None], np.full(len(lo), Hint.GAUGE)), there


def _add_lost(columns: Columns, moved: Floats, lo: Ints, last: Ints) -> None:
    """Add, in place, what a counter had reached before each reset inside its window."""
    resets = np.flatnonzero(columns.resets())
    if not len(resets):
        return
    begin, end = np.searchsorted(resets, lo, side="right"), np.searchsorted(resets, last, side="right")
    for window in np.flatnonzero(end > begin).tolist():  # few windows have any
        moved[window] += columns.numbers[resets[begin[window] : end[window]] - 1].sum(axis=0)


def extrapolation(
    spans: tuple[Ints, Ints, Ints, Ints], range_ms: int, begin: Floats, moved: Floats, *, counter: bool
) -> Floats:
    """Say by how much to multiply what moved between the first and the last sample of each window; float64[w].

    spans         first and last sample, end of the window (ms), samples less one
    begin, moved  of the counts: a counter cannot have been below zero
    source        Prometheus 3.9, promql/functions.go extrapolatedRate
    """
    first_ms, last_ms, end_ms, between_count = spans
    sampled = (last_ms - first_ms) / 1000
    between = sampled / between_count
    to_start, to_end = (first_ms - (end_ms - range_ms)) / 1000, (end_ms - last_ms) / 1000
    threshold = between * 1.1
    to_start = np.where(to_start >= threshold, between / 2, to_start)
    if counter:
        to_zero = sampled * (begin / moved)
        to_start = np.where((moved > 0) & (begin >= 0) & (to_zero < to_start), to_zero, to_start)
    to_end = np.where(to_end >= threshold, between / 2, to_end)
    return np.asarray((sampled + to_start + to_end) / sampled)


def extrapolation_from(start_ms: int, times: Times, end_ms: int) -> float:
    """Say by how much to multiply what moved since the counter began, inside the window."""
    sampled, to_end = (int(times[-1]) - start_ms) / 1000, (end_ms - int(times[-1])) / 1000
    between = (int(times[-1]) - int(times[0])) / 1000 / max(len(times) - 1, 1)
    return (sampled + (between / 2 if to_end >= between * 1.1 else to_end)) / sampled


def _instant(_name: str, series: Series) -> Found:
    there = series.hi - series.lo >= 2
    last = series.hi[there] - 1
    numbers = series.columns.numbers
    moved = numbers[last] - np.where(series.columns.resets()[last, None], 0.0, numbers[last - 1])
    moved /= ((series.times[last] - series.times[last - 1]) / 1000)[:, None]
    return series.columns.of(moved, np.full(len(last), Hint.GAUGE)), there


def _sum(name: str, series: Series) -> Found | None:
    there = series.hi > series.lo
    lo, hi = series.lo[there], series.hi[there]
    hints = _hints(series.columns.hints, lo, hi)
    if hints is None:
        return None
    values = np.ascontiguousarray(series.columns.numbers.T)
    ends = series.ends_ms[there]
    windows = Windows(values, series.times, lo, hi, ends, ends, series.range_ms, (len(values), len(lo)))
    found, _ = over_time.RANGE[name](windows)
    return series.columns.of(np.ascontiguousarray(found.T), hints), there


def _hints(hints: Ints, lo: Ints, hi: Ints) -> Ints | None:
    """Say what is known of resets of the sum of each window; None when it has contradictions to tell of."""
    if (hints == hints[0]).all():
        return np.full(len(lo), hints[0])
    before = np.zeros((len(Hint), len(hints) + 1), np.int64)
    np.cumsum(hints == np.arange(len(Hint))[:, None], axis=1, out=before[:, 1:])
    found, contradicting = hints_of_sums(before[:, hi] > before[:, lo])
    return None if contradicting.any() else found


_GAUGES = {"rate": False, "increase": False, "irate": False, "delta": True}
_FUNCTIONS: dict[str, Callable[[str, Series], Found | None]] = {
    "rate": _rate,
    "increase": _rate,
    "delta": _rate,
    "irate": _instant,
    "sum_over_time": _sum,
    "avg_over_time": _sum,
}
