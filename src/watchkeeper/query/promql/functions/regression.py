"""Straight lines through the samples of a window, and smoothing.

source  Prometheus 3.5, promql/functions.go linearRegression, funcDoubleExponentialSmoothing
"""

from collections.abc import Callable

import numpy as np

from watchkeeper.model.errors import BadQuery
from watchkeeper.model.frame import Floats
from watchkeeper.query.promql.matrix import Mask
from watchkeeper.query.promql.windows import Parts, Windows, count_pairs, fold

Found = tuple[Floats, Mask]
_FIRST = np.zeros(1, np.int64)


def deriv(windows: Windows) -> Found:
    """Give the slope of the least-squares line, per second."""
    slope, _, _ = _line(windows)
    return slope, windows.filled(2)


def predict_linear(windows: Windows, ahead_s: Floats) -> Found:
    """Give what the least-squares line says of a moment; ahead_s float64[w], seconds from the step."""
    slope, mean_time, mean = _line(windows)
    at_s = (windows.at_ms - windows.by_row(windows.times_at(_FIRST))) / 1000
    value = slope * (ahead_s + (at_s - mean_time)) + mean
    return value, windows.filled(2)


def _line(windows: Windows) -> Parts:
    """Give slope, mean time (seconds after the frame's first) and mean value, by merging moments about the means."""
    every = np.arange(len(windows.times))
    seconds = windows.by_row((windows.times_at(every) - windows.times_at(_FIRST)) / 1000)
    ones, nil = np.ones((1, len(every))), np.zeros(seconds.shape)
    values = windows.values
    parts = (ones, seconds, values, np.zeros_like(values), nil)
    _, mean_time, mean, together, spread = fold(windows, parts, _merge)
    slope = together / spread
    moved = count_pairs(windows, values[:, :-1] != values[:, 1:])
    first = windows.values.take(windows.first, axis=1)
    still = (moved == 0) & ~np.isnan(first)  # a constant's slope is exactly 0, whatever rounding says
    constant = np.where(np.isinf(first), np.nan, first)
    slope = np.where(np.isfinite(mean), slope, np.nan)
    return np.where(still, np.where(np.isinf(first), np.nan, 0.0), slope), mean_time, np.where(still, constant, mean)


def _merge(left: Parts, right: Parts) -> Parts:
    """Merge (count, mean x, mean y, Σ(x-x̄)(y-ȳ), Σ(x-x̄)²) of two runs."""
    count = left[0] + right[0]
    share = right[0] / count
    apart_x, apart_y = right[1] - left[1], right[2] - left[2]
    weight = left[0] * share
    return (
        count,
        left[1] + apart_x * share,
        left[2] + apart_y * share,
        left[3] + right[3] + apart_x * apart_y * weight,
        left[4] + right[4] + apart_x * apart_x * weight,
    )


def double_exponential_smoothing(windows: Windows, smoothing: Floats, trend: Floats) -> Found:
    """Smooth with a trend (Holt); smoothing and trend float64[w], inside (0, 1).

    Each sample needs the one before it smoothed, so all windows go forward together, a sample at a time.
    """
    for factor, word, short in ((smoothing, "smoothing", "sf"), (trend, "trend", "tf")):
        if len(factor) and not ((factor > 0) & (factor < 1)).all():
            wrong = factor[~((factor > 0) & (factor < 1))][0]
            raise BadQuery(f"invalid {word} factor. Expected: 0 < {short} < 1, got: {wrong:f}")
    counts, last_at = windows.counts, len(windows.times) - 1
    level = windows.values.take(windows.first, axis=1)
    slope = windows.values.take(np.minimum(windows.lo + 1, last_at), axis=1) - level
    before = np.zeros_like(level)
    for number in range(1, int(counts.max(initial=0))):
        value = windows.values.take(np.minimum(windows.lo + number, last_at), axis=1)
        new_slope = trend * (level - before) + (1 - trend) * slope if number > 1 else slope
        new_level = smoothing * value + (1 - smoothing) * (level + new_slope)
        goes_on = number < counts
        before, slope, level = (
            np.where(goes_on, level, before), np.where(goes_on, new_slope, slope), np.where(goes_on, new_level, level)
        )  # fmt: skip
    return level, windows.filled(2)


RANGE: dict[str, Callable[..., Found]] = {
    "deriv": deriv,
    "predict_linear": predict_linear,
    "double_exponential_smoothing": double_exponential_smoothing,
}
