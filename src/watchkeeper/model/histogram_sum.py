"""Native histograms added, subtracted and compared in time, as Prometheus does it.

source  Prometheus 3.5, model/histogram: FloatHistogram Add, Sub, DetectReset; mismatched custom buckets as of 3.8
"""

from dataclasses import dataclass, replace

import numpy as np

from watchkeeper.model.frame import Floats
from watchkeeper.model.histogram import NO_BUCKETS, Buckets, Hint, Histogram, buckets, exponential_bounds
from watchkeeper.model.labels import Ints


class IncompatibleSchemas(Exception):
    """One histogram has exponential buckets, the other custom ones: they cannot be combined."""


@dataclass(frozen=True, slots=True, eq=False)
class Combined:
    """What two histograms gave.

    collision   one said that the counter was reset, the other that it was not
    reconciled  their custom bounds differed: buckets were merged to those that both have
    """

    histogram: Histogram
    collision: bool = False
    reconciled: bool = False


def add(left: Histogram, right: Histogram) -> Combined:
    """Add two histograms.

    raises  IncompatibleSchemas
    """
    return _combine(left, right, 1.0)


def subtract(left: Histogram, right: Histogram) -> Combined:
    """Take one histogram from another; buckets may get negative.

    raises  IncompatibleSchemas
    """
    return _combine(left, right, -1.0)


def was_reset(now: Histogram, before: Histogram) -> bool:
    """Tell whether a counter was reset between two of its histograms: anything counted is less, or seen less finely."""
    if now.hint in {Hint.RESET, Hint.NO_RESET}:
        return now.hint is Hint.RESET
    if now.count < before.count or now.custom != before.custom:
        return True
    if now.custom:
        return _custom_was_reset(now, before)
    if now.schema > before.schema or now.zero_threshold < before.zero_threshold:
        return True
    widened = before.with_zero_threshold(now.zero_threshold)
    if widened.zero_threshold != now.zero_threshold or now.zero_count < widened.zero_count:
        return True
    coarse, schema, edge = before.at_resolution(now.schema), now.schema, now.zero_threshold
    return any(
        _fell(_outside(one, schema, edge), _outside(other, schema, edge))
        for one, other in ((now.positive, coarse.positive), (now.negative, coarse.negative))
    )


def goes_on(now: Histogram, before: Histogram) -> bool:
    """Tell whether a stored counter goes on in one chunk: same kind, layout and bounds, and not reset."""
    if Hint.GAUGE in (now.hint, before.hint) or now.hint is Hint.RESET:
        return False
    return now.is_laid_out_as(before) and not was_reset(replace(now, hint=Hint.UNKNOWN), before)


def _custom_was_reset(now: Histogram, before: Histogram) -> bool:
    bounds = _shared(now.bounds, before.bounds)
    return _fell(rebound(now, bounds), rebound(before, bounds))


def _fell(now: Buckets, before: Buckets) -> bool:
    """Tell whether any bucket counts less than before."""
    return bool((_merge(now, before, -1.0).counts < 0).any())


def _combine(left: Histogram, right: Histogram, sign: float) -> Combined:
    if left.custom != right.custom:
        raise IncompatibleSchemas
    hint, collision = _hint(left.hint, right.hint)
    summed, reconciled = (
        _combine_custom(left, right, sign) if left.custom else (_combine_exponential(left, right, sign), False)
    )
    summed = replace(summed, count=left.count + sign * right.count, sum=left.sum + sign * right.sum, hint=hint)
    return Combined(summed, collision, reconciled)


def _combine_exponential(left: Histogram, right: Histogram, sign: float) -> Histogram:
    zero_count, threshold = right.zero_count, right.zero_threshold
    while threshold != left.zero_threshold:
        if left.zero_threshold > threshold:
            widened = right.with_zero_threshold(left.zero_threshold)
            zero_count, threshold = widened.zero_count, widened.zero_threshold
        if threshold > left.zero_threshold:
            left = left.with_zero_threshold(threshold)
    schema = min(left.schema, right.schema)
    left, right = left.at_resolution(schema), right.at_resolution(schema)
    return replace(
        left,
        zero_count=left.zero_count + sign * zero_count,
        positive=_merge(left.positive, _outside(right.positive, schema, threshold), sign),
        negative=_merge(left.negative, _outside(right.negative, schema, threshold), sign),
    )


def _outside(side: Buckets, schema: int, threshold: float) -> Buckets:
    """Leave out the buckets that lie in the zero bucket."""
    kept = exponential_bounds(side.index, schema) > threshold
    return Buckets(side.index[kept], side.counts[kept])


def _combine_custom(left: Histogram, right: Histogram, sign: float) -> tuple[Histogram, bool]:
    bounds = _shared(left.bounds, right.bounds)
    reconciled = not np.array_equal(left.bounds, right.bounds)
    positive = _merge(rebound(left, bounds), rebound(right, bounds), sign)
    return replace(left, bounds=bounds, positive=positive), reconciled


def _shared(one: Floats, other: Floats) -> Floats:
    return one if np.array_equal(one, other) else np.intersect1d(one, other)


def rebound(histogram: Histogram, bounds: Floats) -> Buckets:
    """Merge custom buckets up to these bounds, each of which the histogram has."""
    if bounds is histogram.bounds or np.array_equal(bounds, histogram.bounds):
        return histogram.positive
    edges = np.concatenate((histogram.bounds, [np.inf]))
    index: Ints = np.searchsorted(bounds, edges[histogram.positive.index], side="left")
    return buckets(index, histogram.positive.counts)


def _merge(left: Buckets, right: Buckets, sign: float) -> Buckets:
    """Add the counts of two sides, bucket by bucket."""
    if not len(left) and not len(right):
        return NO_BUCKETS
    index, inverse = np.unique(np.concatenate((left.index, right.index)), return_inverse=True)
    counts = np.zeros(len(index))
    counts[inverse[: len(left)]] = left.counts
    counts[inverse[len(left) :]] += sign * right.counts
    return buckets(index, counts)


def _hint(left: Hint, right: Hint) -> tuple[Hint, bool]:
    """Say what is known of resets of both together, and whether they contradict each other."""
    if left is right:
        return left, False
    if Hint.GAUGE in {left, right}:
        return Hint.GAUGE, False
    return Hint.UNKNOWN, Hint.UNKNOWN not in {left, right}
