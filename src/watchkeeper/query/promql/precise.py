"""Arithmetic that several operators share and that must come out as Prometheus': sums and quantiles."""

import numpy as np

from watchkeeper.model.frame import Floats
from watchkeeper.model.labels import Ints

CONDITION_MAX = 1000.0  # |a|+|b|+… may exceed |a+b+…| so many times before a plain sum is done again, compensated


def two_sum(left: Floats, right: Floats) -> tuple[Floats, Floats]:
    """Add, giving the rounded sum and exactly what rounding lost (0 where the sum is not finite).

    source  Knuth, The Art of Computer Programming 2, 4.2.2 theorem B
    """
    total = left + right
    shadow = total - left
    lost = (left - (total - shadow)) + (right - shadow)
    return total, np.where(np.isfinite(total), lost, 0.0)


def compensated(values: Floats) -> Floats:
    """Add along the first axis, pairwise, keeping what rounding loses."""
    error = np.zeros_like(values)
    while len(values) > 1:
        if len(values) % 2:
            pad = np.zeros((1, values.shape[1]))
            values, error = np.concatenate([values, pad]), np.concatenate([error, pad])
        values, lost = two_sum(values[::2], values[1::2])
        error = error[::2] + error[1::2] + lost
    return np.asarray(values[0] + error[0])


def quantiles(cells: Floats, counts: Ints, quantile: Floats) -> Floats:
    """Give a quantile along the last axis, interpolating between neighbours; NaN sorts as the lowest value.

    cells     float64[…, n, k], NaN beyond the first counts[n]
    counts    int64[n], or of any shape that fits […, n]
    quantile  float64[n]; below 0 gives -Inf, above 1 +Inf
    returns   float64[…, n]; NaN where counts is 0
    source    Prometheus 3.5, promql/quantile.go quantile
    """
    falling = np.sort(-cells, axis=-1)  # negated and sorted: descending, NaN and what is beyond the count last
    form = falling.shape[:-1]
    counts = np.broadcast_to(counts, form)
    rank = np.broadcast_to(quantile, form) * (counts - 1)
    floor = np.floor(rank)
    with np.errstate(invalid="ignore"):
        lower = np.clip(np.nan_to_num(floor), 0, np.maximum(counts - 1, 0)).astype(np.int64)
    upper = np.clip(lower + 1, 0, np.maximum(counts - 1, 0))
    weight = rank - floor
    low = -_pick(falling, np.maximum(counts - 1, 0) - lower)
    high = -_pick(falling, np.maximum(counts - 1, 0) - upper)
    out = low * (1 - weight) + high * weight
    out = np.where(quantile < 0, -np.inf, np.where(quantile > 1, np.inf, out))
    return np.where((counts > 0) & ~np.isnan(quantile), out, np.nan)


def _pick(cells: Floats, index: Ints) -> Floats:
    return np.take_along_axis(cells, index[..., None], axis=-1)[..., 0]
