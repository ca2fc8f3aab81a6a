"""Sum and mean of many native histograms, by columns: as exact as those of floats.

source  Prometheus 3.9, model/histogram FloatHistogram.KahanAdd; promql/engine.go aggregation
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce

import numpy as np

from watchkeeper.model.frame import Floats
from watchkeeper.model.histogram import Buckets, Hint, Histogram, buckets
from watchkeeper.model.histogram_sum import Combined, IncompatibleSchemas, rebound
from watchkeeper.model.labels import Ints
from watchkeeper.query.promql.precise import compensated


def total(histograms: Sequence[Histogram]) -> Combined:
    """Add up histograms; at least one.

    raises  IncompatibleSchemas
    """
    return _gathered(histograms, compensated)


def mean(histograms: Sequence[Histogram]) -> Combined:
    """Give the mean of histograms; sums beyond the largest float are done in parts.

    raises  IncompatibleSchemas
    """
    count = len(histograms)

    def average(columns: Floats) -> Floats:
        whole = compensated(columns)
        return whole / count if np.isfinite(whole).all() else compensated(columns / count)

    return _gathered(histograms, average) if count > 1 else Combined(histograms[0])


def first_misfit(histograms: Sequence[Histogram]) -> int:
    """Give the place of the first histogram whose buckets are of another kind than those before it."""
    return next(at for at, one in enumerate(histograms) if one.custom != histograms[0].custom)


def _gathered(histograms: Sequence[Histogram], merge: Callable[[Floats], Floats]) -> Combined:
    if any(one.custom != histograms[0].custom for one in histograms):
        raise IncompatibleSchemas
    hints = {one.hint for one in histograms}
    hint = Hint.GAUGE if Hint.GAUGE in hints else next(iter(hints)) if len(hints) == 1 else Hint.UNKNOWN
    alike = _with_same_bounds(histograms) if histograms[0].custom else _with_same_buckets(histograms)
    positive, above = _stacked([one.positive for one in alike])
    negative, below = _stacked([one.negative for one in alike])
    numbers = np.array([[one.count, one.sum, one.zero_count] for one in alike])
    with np.errstate(all="ignore"):
        merged = merge(np.concatenate([numbers, above, below], axis=1))
    split = 3 + len(positive)
    whole = replace(
        alike[0],
        count=float(merged[0]),
        sum=float(merged[1]),
        zero_count=float(merged[2]),
        positive=buckets(positive, merged[3:split]),
        negative=buckets(negative, merged[split:]),
        hint=hint,
    )
    reconciled = any(not np.array_equal(one.bounds, histograms[0].bounds) for one in histograms)
    return Combined(whole, {Hint.RESET, Hint.NO_RESET} <= hints, reconciled)


def _with_same_bounds(histograms: Sequence[Histogram]) -> Sequence[Histogram]:
    first = histograms[0].bounds
    if all(one.bounds is first or np.array_equal(one.bounds, first) for one in histograms):
        return histograms
    bounds = reduce(np.intersect1d, [one.bounds for one in histograms])
    return [replace(one, bounds=bounds, positive=rebound(one, bounds)) for one in histograms]


def _with_same_buckets(histograms: Sequence[Histogram]) -> Sequence[Histogram]:
    schema = min(one.schema for one in histograms)
    threshold = max(one.zero_threshold for one in histograms)
    while any(one.zero_threshold != threshold for one in histograms):  # it may have to grow to the end of a bucket
        histograms = [one.with_zero_threshold(threshold) for one in histograms]
        threshold = max(one.zero_threshold for one in histograms)
    return [one.at_resolution(schema) for one in histograms]


def _stacked(sides: Sequence[Buckets]) -> tuple[Ints, Floats]:
    """Lay the buckets of histograms side by side: the index of each column, and float64[histograms, columns]."""
    first = sides[0].index
    if all(side.index is first or np.array_equal(side.index, first) for side in sides):
        return first, np.stack([side.counts for side in sides])
    index = np.unique(np.concatenate([side.index for side in sides]))
    columns = np.zeros((len(sides), len(index)))
    for row, side in enumerate(sides):
        columns[row, np.searchsorted(index, side.index)] = side.counts
    return index, columns
