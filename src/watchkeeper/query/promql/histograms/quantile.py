"""Quantiles of many native histograms of one layout at once: `native.quantile`, by columns.

source  Prometheus 3.5, promql/quantile.go HistogramQuantile
"""

import numpy as np

from watchkeeper.model.frame import Floats
from watchkeeper.model.histogram import exponential_bounds
from watchkeeper.model.labels import Ints
from watchkeeper.query.promql.histogram_columns import Columns


def quantiles(shares: Floats, columns: Columns) -> Floats:
    """Estimate below what value a share of the observations lies; float64[n] both."""
    with np.errstate(all="ignore"):
        found = _inside(shares, columns)
        found = np.where(np.isnan(shares) | (columns.numbers[:, 0] == 0), np.nan, found)
        return np.where(shares < 0, -np.inf, np.where(shares > 1, np.inf, found))


def _inside(shares: Floats, columns: Columns) -> Floats:
    counts = _counts(columns)
    total, sums = columns.numbers[:, 0], columns.numbers[:, 1]
    upwards = np.isnan(sums) | (shares < 0.5)
    rank = np.where(upwards, shares, 1 - shares) * total
    up, passed_up = _reached(counts, rank)
    down, passed_down = _reached(counts[:, ::-1], rank)
    bucket = np.where(upwards, up, counts.shape[1] - 1 - down)
    passed = np.minimum(np.where(upwards, passed_up, passed_down), total)  # buckets that fell, or rounding
    rows = np.arange(len(counts))
    lower, upper = _ends(columns, bucket)
    own = counts[rows, bucket]
    part = np.where(upwards, rank - (passed - own), passed - rank) / own
    found = _between(columns, lower, upper, part)
    short = passed < rank
    found = np.where(short & np.isfinite(upper), upper, found)
    nothing = ~(counts != 0).any(axis=1) | (short & np.isnan(sums))
    return np.where(nothing, np.nan, found)


def _counts(columns: Columns) -> Floats:
    """Give the buckets' counts from the lowest to the highest: negative ones, zero, positive ones."""
    split = 3 + len(columns.positive)
    zero = np.where(columns.numbers[:, 2:3] > 0, columns.numbers[:, 2:3], 0.0)
    return np.concatenate([columns.numbers[:, split:][:, ::-1], zero, columns.numbers[:, 3:split]], axis=1)


def _reached(counts: Floats, rank: Floats) -> tuple[Ints, Floats]:
    """Find the first populated bucket up to which `rank` observations lie, or the last one; and how many lie there."""
    populated = counts != 0
    passed = np.cumsum(counts, axis=1)
    enough = populated & (passed >= rank[:, None])
    last = counts.shape[1] - 1 - populated[:, ::-1].argmax(axis=1)
    at = np.where(enough.any(axis=1), enough.argmax(axis=1), last)
    return at, passed[np.arange(len(counts)), at]


def _ends(columns: Columns, bucket: Ints) -> tuple[Floats, Floats]:
    """Give the bounds of one bucket of each histogram."""
    like, edge, below = columns.like, columns.like.zero_threshold, len(columns.negative)
    if like.custom:
        edges = np.concatenate(([-np.inf], like.bounds, [np.inf]))
        lowers, uppers = edges[columns.positive], edges[columns.positive + 1]
    else:
        lowers = exponential_bounds(columns.positive - 1, like.schema)
        lowers = np.where((lowers > 0) & (lowers < edge), edge, lowers)
        uppers = exponential_bounds(columns.positive, like.schema)
    near, far = (-exponential_bounds(columns.negative - off, like.schema)[::-1] for off in (1, 0))
    near = np.where((near < 0) & (near > -edge), -edge, near)
    lowers, uppers = np.concatenate([far, [-edge], lowers]), np.concatenate([near, [edge], uppers])
    lower, upper = lowers[bucket], uppers[bucket]
    split = 3 + len(columns.positive)
    some = [(columns.numbers[:, part] != 0).any(axis=1) for part in (slice(3, split), slice(split, None))]
    zero = bucket == below  # that of observations of one sign lies on that side of 0
    lower = np.where(zero & some[0] & ~some[1], 0.0, lower)
    return lower, np.where(zero & some[1] & ~some[0], 0.0, upper)


def _between(columns: Columns, lower: Floats, upper: Floats, part: Floats) -> Floats:
    """Interpolate in buckets: linearly where they are custom or the zero bucket, else exponentially."""
    if columns.like.custom:
        begin = np.where(np.isinf(lower), 0.0, lower)
        found = np.where(np.isinf(upper), begin, begin + (upper - begin) * part)
        return np.where(np.isinf(lower) & (upper <= 0), upper, found)
    low, high = np.log2(np.abs(lower)), np.log2(np.abs(upper))
    above, below = np.exp2(low + (high - low) * part), -np.exp2(high + (low - high) * (1 - part))
    straight = lower + (upper - lower) * part
    return np.where((lower <= 0) & (upper >= 0), straight, np.where(lower > 0, above, below))
