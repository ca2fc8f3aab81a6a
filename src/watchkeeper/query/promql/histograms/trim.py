"""The operators </ and >/: the part of a native histogram that lies below or above a value.

A bucket that the value cuts is shared out as quantiles are estimated: linearly in the zero bucket and in custom ones,
exponentially in others. What has no end is kept or dropped whole. The sum becomes that of the buckets' middles.

source  Prometheus, promql/promqltest/testdata/native_histograms.test
"""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from watchkeeper.model.frame import Floats
from watchkeeper.model.histogram import NO_BUCKETS, Buckets, Histogram, buckets, exponential_bounds
from watchkeeper.query.promql.native import zero_ends

_Ends = tuple[Floats, Floats]
_NOTHING = (0.0, 0.0)


def _trimmed(histogram: Histogram, at: float, *, below: bool) -> Histogram:
    if math.isinf(at):
        if (at > 0) is below:
            return histogram
        return replace(histogram, count=0.0, sum=0.0, zero_count=0.0, positive=NO_BUCKETS, negative=NO_BUCKETS)
    cut = partial(_cut, at=at, below=below)
    uppers, lowers = (-exponential_bounds(histogram.negative.index - off, histogram.schema) for off in (1, 0))
    negative = _side(histogram.negative, (lowers, uppers), partial(cut, linear=False))
    positive = _side(histogram.positive, histogram.positive_bounds(), partial(cut, linear=histogram.custom))
    zero = cut(*zero_ends(histogram), histogram.zero_count, linear=True) if histogram.zero_count else _NOTHING
    kept = np.concatenate([negative[0], positive[0], [zero[0]]])
    counts = np.concatenate([histogram.negative.counts, histogram.positive.counts, [histogram.zero_count]])
    if np.array_equal(kept, counts):
        return histogram
    middles = np.concatenate([negative[1], positive[1], [zero[1]]])
    return replace(
        histogram,
        count=float(kept.sum()),
        sum=float((kept * middles).sum()),
        zero_count=zero[0],
        negative=buckets(histogram.negative.index, negative[0]),
        positive=buckets(histogram.positive.index, positive[0]),
    )


def _side(
    side: Buckets, ends: _Ends, cut: Callable[[float, float, float], tuple[float, float]]
) -> tuple[Floats, Floats]:
    """Give what is kept of each bucket, and the middle of that; float64[n] each."""
    rows = zip(*(column.tolist() for column in (*ends, side.counts)), strict=True)
    found = np.array([cut(*row) for row in rows]).reshape(len(side), 2)
    return found[:, 0], found[:, 1]


def _cut(lower: float, upper: float, count: float, *, at: float, below: bool, linear: bool) -> tuple[float, float]:
    """Say how much of a bucket is kept, and the middle of it."""
    if math.isinf(lower) or math.isinf(upper):
        if math.isinf(lower) and upper > 0 and at >= 0 and math.isfinite(upper):
            lower = 0.0  # as quantiles have it
        else:
            return _cut_endless(lower, upper, count, at=at, below=below)
    if upper <= at if below else lower >= at:
        return count, _middle(lower, upper, linear=linear)
    if lower >= at if below else upper <= at:
        return _NOTHING
    share = _share(lower, upper, at, linear=linear)
    if below:
        return count * share, _middle(lower, at, linear=linear)
    return count * (1 - share), _middle(at, upper, linear=linear)


def _cut_endless(lower: float, upper: float, count: float, *, at: float, below: bool) -> tuple[float, float]:
    if math.isinf(lower):
        keeps = below and upper <= 0
        return (count, min(at, upper)) if keeps else _NOTHING
    return _NOTHING if below else (count, max(at, lower))


def _share(lower: float, upper: float, at: float, *, linear: bool) -> float:
    if linear:
        return (at - lower) / (upper - lower)
    low, high, here = (math.log2(abs(end)) for end in (lower, upper, at))
    return (here - low) / (high - low)


def _middle(lower: float, upper: float, *, linear: bool) -> float:
    if linear:
        return (lower + upper) / 2
    return math.copysign(math.sqrt(abs(lower)) * math.sqrt(abs(upper)), upper + lower)


TRIMS: dict[str, Callable[[Histogram, float], Histogram]] = {
    "</": partial(_trimmed, below=True),
    ">/": partial(_trimmed, below=False),
}
