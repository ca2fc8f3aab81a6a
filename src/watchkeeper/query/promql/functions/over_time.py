"""The *_over_time functions: one number for the samples of each window.

source  Prometheus 3.5, promql/functions.go
"""

from collections.abc import Callable

import numpy as np

from watchkeeper.model.checkpoint import checkpoint
from watchkeeper.model.frame import Floats
from watchkeeper.model.labels import Ints
from watchkeeper.query.promql.matrix import Mask
from watchkeeper.query.promql.precise import CONDITION_MAX, quantiles, two_sum
from watchkeeper.query.promql.windows import Parts, Windows, fold

Found = tuple[Floats, Mask]
_GATHER_CELLS_MAX = 1 << 21  # samples of windows laid out side by side at a time


def sum_over_time(windows: Windows) -> Found:
    """Add up the window, as exactly as Kahan's summation would."""
    return _sums(windows, windows.values), windows.filled()


def avg_over_time(windows: Windows) -> Found:
    """Give the mean; sums beyond the largest float are done in parts."""
    counts = np.maximum(windows.counts, 1)
    mean = _sums(windows, windows.values) / counts
    over = ~np.isfinite(mean)
    if over.any():
        scale = 2.0 ** -np.ceil(np.log2(counts.max(initial=1)))
        parts = _sums(windows, windows.values * scale) / counts / scale
        mean = np.where(over, parts, mean)
    return mean, windows.filled()


def _sums(windows: Windows, values: Floats) -> Floats:
    (total,) = fold(windows, (values,), _add)
    lowest, highest = values.min(), values.max()
    if lowest >= 0 or highest <= 0:
        return total
    (bulk,) = fold(windows, (np.abs(values),), _add)
    if not (bulk > CONDITION_MAX * np.abs(total)).any():
        return total
    total, lost = fold(windows, (values, np.zeros_like(values)), _add_exactly)
    return total + lost


def _add(left: Parts, right: Parts) -> Parts:
    return (left[0] + right[0],)


def _add_exactly(left: Parts, right: Parts) -> Parts:
    total, lost = two_sum(left[0], right[0])
    return total, left[1] + right[1] + lost


def _extreme(ufunc: np.ufunc) -> Callable[[Windows], Found]:
    def extreme(windows: Windows) -> Found:
        (found,) = fold(windows, (windows.values,), lambda left, right: (ufunc(left[0], right[0]),))
        return found, windows.filled()

    return extreme


def count_over_time(windows: Windows) -> Found:
    """Count the samples."""
    return windows.counts.astype(np.float64)[None, :], windows.filled()


def last_over_time(windows: Windows) -> Found:
    """Give the newest sample."""
    return windows.values.take(windows.last, axis=1), windows.filled()


def first_over_time(windows: Windows) -> Found:
    """Give the oldest sample."""
    return windows.values.take(windows.first, axis=1), windows.filled()


def present_over_time(windows: Windows) -> Found:
    """Give 1 where there is any sample."""
    return np.ones((1, 1)), windows.filled()


def stdvar_over_time(windows: Windows) -> Found:
    """Give the population variance."""
    ones = np.ones((1, len(windows.times)))
    count, _, squares = fold(windows, (ones, windows.values, windows.values * 0.0 + 0.0), _merge_moments)  # NaN stays
    return squares / np.maximum(count, 1), windows.filled()


def stddev_over_time(windows: Windows) -> Found:
    """Give the population standard deviation."""
    variance, filled = stdvar_over_time(windows)
    return np.sqrt(variance), filled


def _merge_moments(left: Parts, right: Parts) -> Parts:
    """Merge (count, mean, sum of squared distances from the mean) of two runs.

    source  Chan, Golub, LeVeque: Updating formulae and a pairwise algorithm for computing sample variances (1979)
    """
    count = left[0] + right[0]
    apart = right[1] - left[1]
    share = right[0] / count
    return count, left[1] + apart * share, left[2] + right[2] + apart * apart * left[0] * share


def quantile_over_time(windows: Windows, quantile: Floats) -> Found:
    """Give a quantile of each window; quantile float64[w]."""
    return _gathered(windows, lambda cells, counts, which: quantiles(cells, counts, quantile[which])), windows.filled()


def mad_over_time(windows: Windows) -> Found:
    """Give the median distance from the median."""

    def spread(cells: Floats, counts: Ints, _which: slice) -> Floats:
        half = np.full(len(counts), 0.5)
        median = quantiles(cells, counts, half)
        found = quantiles(np.abs(cells - median[..., None]), counts, half)
        unknown = np.isnan(cells).sum(axis=-1) > cells.shape[-1] - counts  # a NaN that is a sample
        return np.where(unknown, np.nan, found)

    return _gathered(windows, spread), windows.filled()


def _gathered(windows: Windows, reduce: Callable[[Floats, Ints, slice], Floats]) -> Floats:
    """Lay the samples of each window side by side, filled up with NaN, and reduce them; a bounded share at a time."""
    series, wide = windows.values.shape[0], int(windows.counts.max(initial=1))
    out = np.empty((series, len(windows.lo)))
    size = max(1, _GATHER_CELLS_MAX // max(series * wide, 1))
    within = np.arange(wide)
    for start in range(0, len(windows.lo), size):
        checkpoint()
        which = slice(start, start + size)
        counts = windows.counts[which]
        index = np.minimum(windows.lo[which, None] + within, len(windows.times) - 1)
        cells = np.where(within < counts[:, None], windows.values[:, index], np.nan)
        out[:, which] = reduce(cells, counts, which)
    return out


def _time_of(pick: Callable[[Floats], Ints]) -> Callable[[Windows], Found]:
    def time_of(windows: Windows) -> Found:
        out = np.zeros((windows.values.shape[0], len(windows.lo)))

        def seconds(cells: Floats, _counts: Ints, which: slice) -> Floats:
            at = np.minimum(windows.lo[which] + pick(cells), len(windows.times) - 1)
            return windows.times_of(at) / 1000

        out[...] = _gathered(windows, seconds)
        return out, windows.filled()

    return time_of


def _newest_lowest(cells: Floats) -> Ints:
    """Find the last of the lowest; NaN counts as highest."""
    turned = np.where(np.isnan(cells), np.inf, cells)[..., ::-1]
    return np.asarray(cells.shape[-1] - 1 - turned.argmin(axis=-1))


def ts_of_last_over_time(windows: Windows) -> Found:
    """Give the newest sample's time in seconds."""
    return windows.by_row(windows.times_at(windows.last) / 1000), windows.filled()


def ts_of_first_over_time(windows: Windows) -> Found:
    """Give the oldest sample's time in seconds."""
    return windows.by_row(windows.times_at(windows.first) / 1000), windows.filled()


RANGE: dict[str, Callable[..., Found]] = {
    "avg_over_time": avg_over_time,
    "count_over_time": count_over_time,
    "first_over_time": first_over_time,
    "last_over_time": last_over_time,
    "mad_over_time": mad_over_time,
    "max_over_time": _extreme(np.fmax),
    "min_over_time": _extreme(np.fmin),
    "present_over_time": present_over_time,
    "quantile_over_time": quantile_over_time,
    "stddev_over_time": stddev_over_time,
    "stdvar_over_time": stdvar_over_time,
    "sum_over_time": sum_over_time,
    "ts_of_first_over_time": ts_of_first_over_time,
    "ts_of_last_over_time": ts_of_last_over_time,
    "ts_of_max_over_time": _time_of(lambda cells: _newest_lowest(-cells)),
    "ts_of_min_over_time": _time_of(_newest_lowest),
}
