"""What one native histogram says: quantiles, shares, deviation, and how it is written.

source  Prometheus 3.5, promql/quantile.go HistogramQuantile, HistogramFraction; model/histogram FloatHistogram.String
"""

import math

from watchkeeper.model.histogram import Bucket, Histogram
from watchkeeper.query.promql.numerals import go_general


def text(histogram: Histogram) -> str:
    """Write a histogram as Prometheus shows it to people: count, sum, and each populated bucket with its bounds."""
    parts = [f"count:{go_general(histogram.count)}", f"sum:{go_general(histogram.sum)}"]
    for bucket in histogram.laid_out():
        opened, closed = "[" if bucket.lower_inclusive else "(", "]" if bucket.upper_inclusive else ")"
        bounds = f"{opened}{go_general(bucket.lower)},{go_general(bucket.upper)}{closed}"
        parts.append(f"{bounds}:{go_general(bucket.count)}")
    return "{" + ", ".join(parts) + "}"


def quantile(share: float, histogram: Histogram) -> float:
    """Estimate below what value this share of observations lies, within its bucket.

    returns  NaN where nothing was observed, or where the value would be one of observed NaNs
    """
    if share < 0 or share > 1:
        return math.copysign(math.inf, share)
    if math.isnan(share) or histogram.count == 0:
        return math.nan
    upwards = math.isnan(histogram.sum) or share < 0.5
    rank = (share if upwards else 1 - share) * histogram.count
    buckets = list(histogram.spread())
    if not buckets:
        return math.nan
    passed, bucket = 0.0, buckets[0]
    for bucket in buckets if upwards else reversed(buckets):
        passed += bucket.count
        if passed >= rank:
            break
    passed = min(passed, histogram.count)  # buckets that fell, or rounding
    if passed < rank and math.isnan(histogram.sum):
        return math.nan
    lower, upper = _ends(bucket, histogram)
    if histogram.custom:
        if math.isinf(bucket.lower) and upper <= 0:
            return upper
        lower = 0.0 if math.isinf(bucket.lower) else lower
        if math.isinf(upper):
            return lower
    if passed < rank:
        return upper
    inside = rank - (passed - bucket.count) if upwards else passed - rank
    part = inside / bucket.count
    if histogram.custom or lower <= 0 <= upper:
        return lower + (upper - lower) * part
    low, high = math.log2(abs(lower)), math.log2(abs(upper))
    return math.exp2(low + (high - low) * part) if lower > 0 else -math.exp2(high + (low - high) * (1 - part))


def fraction(lower: float, upper: float, histogram: Histogram) -> float:
    """Estimate which share of observations lies between two values; NaN where nothing was observed."""
    if histogram.count == 0 or math.isnan(lower) or math.isnan(upper):
        return math.nan
    if lower >= upper:
        return 0.0
    return (_rank(upper, histogram) - _rank(lower, histogram)) / histogram.count


def has_unknown(histogram: Histogram) -> bool:
    """Tell whether NaN was observed: it counts, in no bucket."""
    if not math.isnan(histogram.sum):
        return False
    return sum(bucket.count for bucket in histogram.spread()) < histogram.count


def deviation(histogram: Histogram) -> float:
    """Estimate the standard deviation of the observations."""
    found = variance(histogram)
    return math.sqrt(found) if found >= 0 else math.nan


def variance(histogram: Histogram) -> float:
    """Estimate the variance of the observations, each taken for the middle of its bucket."""
    if histogram.count == 0:
        return math.nan
    mean = histogram.sum / histogram.count
    squares = [bucket.count * (_middle(bucket, histogram) - mean) ** 2 for bucket in histogram.spread()]
    return (sum(squares) if any(map(math.isnan, squares)) else math.fsum(squares)) / histogram.count


def _middle(bucket: Bucket, histogram: Histogram) -> float:
    if histogram.custom:
        return (bucket.lower + bucket.upper) / 2
    if bucket.lower <= 0 <= bucket.upper:
        return 0.0
    return math.copysign(math.sqrt(bucket.lower * bucket.upper), bucket.upper)


def _ends(bucket: Bucket, histogram: Histogram) -> tuple[float, float]:
    """Give a bucket's bounds."""
    if not histogram.custom and bucket.lower <= 0 <= bucket.upper:
        return zero_ends(histogram)
    return bucket.lower, bucket.upper


def zero_ends(histogram: Histogram) -> tuple[float, float]:
    """Give the bounds of the zero bucket; that of observations of one sign lies on that side of 0."""
    edge = histogram.zero_threshold
    one_sided = bool(len(histogram.positive)) is not bool(len(histogram.negative))
    if not one_sided:
        return -edge, edge
    return (0.0, edge) if len(histogram.positive) else (-edge, 0.0)


def _rank(value: float, histogram: Histogram) -> float:
    """Estimate how many observations are below a value."""
    rank = 0.0
    for bucket in histogram.spread():
        lower, upper = _ends(bucket, histogram)
        if lower >= value:
            return min(rank, histogram.count)
        if upper > value:
            part = _part(value, lower, upper, linear=histogram.custom or lower <= 0 <= upper)
            return min(rank + bucket.count * part, histogram.count)
        rank += bucket.count
    return rank if math.isnan(histogram.sum) else histogram.count


def _part(value: float, lower: float, upper: float, *, linear: bool) -> float:
    """Say which part of a bucket lies below a value inside it."""
    if linear:
        if math.isinf(
            lower
        ):  # the first custom bucket begins at 0, as a classic one does; without that it has no middle
            return max(value, 0.0) / upper if upper > 0 else 1.0
        return (value - lower) / (upper - lower)
    low, high, at = (math.log2(abs(end)) for end in (lower, upper, value))
    return (at - low) / (high - low) if value > 0 else 1 - (at - high) / (low - high)
