"""Sum and mean of many native histograms, by columns: as exact as those of floats.

source  Prometheus 3.9, model/histogram FloatHistogram.KahanAdd; promql/engine.go aggregation
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce

import numpy as np

from watchkeeper.model.frame import Floats
from watchkeeper.model.histogram import Hint, Histogram
from watchkeeper.model.histogram_sum import Combined, IncompatibleSchemas, rebound
from watchkeeper.model.labels import Ints
from watchkeeper.query.promql.histogram_columns import Columns, columns_of, hints_of_sums
from watchkeeper.query.promql.matrix import Mask
from watchkeeper.query.promql.precise import CONDITION_MAX, compensated


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


def grouped(columns: Columns, starts: Ints, *, mean: bool) -> tuple[Columns, Mask]:
    """Combine runs of histograms of one layout.

    starts   where each run begins
    returns  one histogram a run, and which of them must be made otherwise: their plain sum is not exact enough, or they
             contradict each other about a reset
    """
    numbers = columns.numbers
    sizes = np.diff(np.append(starts, len(numbers)))[:, None]
    with np.errstate(all="ignore"):
        whole = np.add.reduceat(numbers, starts, axis=0)
        if (numbers >= 0).all():
            alone = ~np.isfinite(whole).all(axis=1)
        else:
            bulk = np.add.reduceat(np.abs(numbers), starts, axis=0)
            alone = ~(bulk <= CONDITION_MAX * np.abs(whole)).all(axis=1)
    kinds = np.stack([np.add.reduceat(columns.hints == hint, starts) > 0 for hint in Hint])
    hints, contradicting = hints_of_sums(kinds)
    alone |= contradicting
    return columns.of(whole / sizes if mean else whole, hints), np.asarray(alone & (sizes[:, 0] > 1))


def first_misfit(histograms: Sequence[Histogram]) -> int:
    """Give the place of the first histogram whose buckets are of another kind than those before it."""
    return next(at for at, one in enumerate(histograms) if one.custom != histograms[0].custom)


def _gathered(histograms: Sequence[Histogram], merge: Callable[[Floats], Floats]) -> Combined:
    if any(one.custom != histograms[0].custom for one in histograms):
        raise IncompatibleSchemas
    hints = {one.hint for one in histograms}
    hint = Hint.GAUGE if Hint.GAUGE in hints else next(iter(hints)) if len(hints) == 1 else Hint.UNKNOWN
    columns = columns_of(_with_same_bounds(histograms) if histograms[0].custom else _with_same_buckets(histograms))
    assert columns is not None
    with np.errstate(all="ignore"):
        (whole,) = columns.histograms(merge(columns.numbers)[None, :], [hint])
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
