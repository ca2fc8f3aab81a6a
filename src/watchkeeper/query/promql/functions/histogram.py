"""Quantiles and fractions of classic histograms: series by the label le, each counting all up to its bound.

source  Prometheus 3.5, promql/quantile.go BucketQuantile, BucketFraction
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from watchkeeper.model.frame import Floats
from watchkeeper.model.histogram import Histogram
from watchkeeper.model.labels import METRIC_NAME, Ints
from watchkeeper.query.promql import native
from watchkeeper.query.promql.ast import Expr
from watchkeeper.query.promql.functions.applied import Applied
from watchkeeper.query.promql.histogram_table import without
from watchkeeper.query.promql.histograms import notes as histogram_notes
from watchkeeper.query.promql.histograms.quantile import quantiles
from watchkeeper.query.promql.lexer import go_quote
from watchkeeper.query.promql.matrix import Mask, Value, Vector, ever, group, nameless, unique_series, without_name
from watchkeeper.query.promql.numerals import go_general, go_openmetrics, go_parse

_TOLERANCE = 1e-12  # relative difference of two buckets that counts as rounding
_SMALLEST_NORMAL = 2.2250738585072014e-308


@dataclass(frozen=True, slots=True, eq=False)
class Buckets:
    """Histograms with the same bounds.

    rows    int64[h]: the group of each histogram
    bounds  float64[b], ascending
    counts  float64[h, b, steps], cumulative
    there   bool[h, steps]: at which steps a histogram has exactly these buckets
    """

    rows: Ints
    bounds: Floats
    counts: Floats
    there: Mask


def _histogram_quantile(call: Applied) -> Value:
    return _quantile(call, call.vector(1), 0, 1)


def _histogram_quantiles(call: Applied) -> Value:
    """Give several quantiles, each with its own value of a label."""
    vector, label = call.vector(0), call.text(1)
    parts = []
    for at in range(2, len(call.args)):
        found = _quantile(call, vector, at, 0)
        code = call.query.symbols.code(go_openmetrics(float(call.scalar(at)[0])))
        codes = np.full(len(found.labels), code, np.int32)
        parts.append(Vector(found.labels.replaced(label, codes), found.values, found.present))
    labels = call.query.joined([part.labels for part in parts])
    values = np.concatenate([part.values for part in parts])
    return unique_series(Vector(labels, values, np.concatenate([part.present for part in parts])))


def _quantile(call: Applied, vector: Vector, quantile_at: int, vector_at: int) -> Vector:
    """Give one quantile of classic and native histograms."""
    quantile = call.scalar(quantile_at)
    wrong = quantile[~((quantile >= 0) & (quantile <= 1))]  # NaN is wrong, too
    for value in np.unique(wrong).tolist():
        message = f"quantile value should be between 0 and 1, got {go_general(value)}"
        call.query.notes.warn(message, call.node.args[quantile_at])

    def of_native(cells: Floats, steps: Ints, names: list[str]) -> Floats:
        shares = quantile[steps]
        columns = call.query.histograms.columns(cells)
        if columns is None:
            held = call.query.histograms.at(cells)
            found = np.array([native.quantile(share, one) for share, one in zip(shares.tolist(), held, strict=True)])
        else:
            found = quantiles(shares, columns)
        for at in _with_unknown(call, cells):
            if 0 <= shares[at] <= 1:
                outcome = "is NaN" if np.isnan(found[at]) else "is skewed higher"
                text = f"input to histogram_quantile has NaN observations, result {outcome}"
                call.query.notes.inform(f"{text} for metric name {go_quote(names[at])}", call.node.args[vector_at])
        return found

    return _of_both(
        call, vector, vector_at, lambda classic: _classic_quantile(call, classic, quantile, vector_at), of_native
    )


def _of_both(
    call: Applied,
    vector: Vector,
    vector_at: int,
    of_classic: Callable[[Vector], Vector],
    of_native: Callable[[Floats, Ints, list[str]], Floats],
) -> Vector:
    """Evaluate classic histograms by their buckets, and native ones each for itself; where both are, neither."""
    which = call.query.histograms.where(vector.values, vector.present)
    if which is None:
        return of_classic(vector)
    classic = without(vector, which)
    known = np.array([go_parse(text) is not None for text in vector.labels.values("le")])
    ids, first = group(vector.labels.drop(("le",)))
    there = np.zeros((2, len(first), which.shape[1]), np.bool_)
    np.logical_or.at(there[0], ids, classic.present & known[:, None])
    np.logical_or.at(there[1], ids, which)
    both = there[0] & there[1]
    names = vector.labels.values(METRIC_NAME)
    if both.any():
        for row in np.flatnonzero((both[ids] & which).any(axis=1)).tolist():
            call.query.notes.warn(histogram_notes.mixed_classic(names[row]), call.node.args[vector_at])
        which = which & ~both[ids]
        classic = without(classic, both[ids] & known[:, None])
    values = np.zeros(which.shape)
    rows, steps = np.nonzero(which)
    values[which] = of_native(vector.values[which], steps, [names[row] for row in rows.tolist()])
    seen = ever(which)
    found = Vector(without_name(vector.labels.take(seen)), values[seen], which[seen])
    other = of_classic(classic)
    labels = call.query.joined([found.labels, other.labels])
    joined = np.concatenate([found.values, other.values])
    return unique_series(Vector(labels, joined, np.concatenate([found.present, other.present])))


def _with_unknown(call: Applied, cells: Floats) -> list[int]:
    """Find the histograms that observed NaN."""
    odd = np.flatnonzero(np.isnan(call.query.histograms.heads(cells)[:, 1]))
    held = call.query.histograms.at(cells[odd])
    return [at for at, one in zip(odd.tolist(), held, strict=True) if native.has_unknown(one)]


def _classic_quantile(call: Applied, vector: Vector, quantile: Floats, vector_at: int) -> Vector:
    vector = vector.take(ever(vector.present))  # who has no sample is not warned of
    if not len(vector.labels):
        return vector
    asked = (quantile >= 0) & (quantile <= 1)

    def compute(buckets: Buckets) -> Floats:
        counts, forced = monotonic(buckets.counts)
        for row in buckets.rows[(forced & buckets.there & asked).any(axis=1)].tolist():
            _inform_of_monotonicity(call, names[row], vector_at)
        return bucket_quantile(quantile, buckets.bounds, counts)

    ids, first, names = _groups(vector)
    return _each_layout(call, vector, call.node.args[vector_at], ids, first, compute)


def _histogram_fraction(call: Applied) -> Value:
    lower, upper = call.scalar(0), call.scalar(1)

    def of_native(cells: Floats, steps: Ints, names: list[str]) -> Floats:
        for at in _with_unknown(call, cells):
            text = "input to histogram_fraction has NaN observations, which are excluded from all fractions"
            call.query.notes.inform(f"{text} for metric name {go_quote(names[at])}", call.node.args[2])
        held = zip(lower[steps].tolist(), upper[steps].tolist(), call.query.histograms.at(cells), strict=True)
        return np.array([native.fraction(*one) for one in held])

    return _of_both(call, call.vector(2), 2, lambda classic: _classic_fraction(call, classic, lower, upper), of_native)


def _classic_fraction(call: Applied, vector: Vector, lower: Floats, upper: Floats) -> Vector:
    vector = vector.take(ever(vector.present))
    if not len(vector.labels):
        return vector

    def compute(buckets: Buckets) -> Floats:
        counts, _ = monotonic(buckets.counts)
        return bucket_fraction(lower, upper, buckets.bounds, counts)

    ids, first, _ = _groups(vector)
    return _each_layout(call, vector, call.node.args[2], ids, first, compute)


def _groups(vector: Vector) -> tuple[Ints, Ints, list[str]]:
    """Number the histograms; with the metric name of each."""
    ids, first = group(vector.labels.drop(("le",)))
    return ids, first, vector.labels.take(first).values(METRIC_NAME)


def _inform_of_monotonicity(call: Applied, name: str, vector_at: int) -> None:
    text = (
        "input to histogram_quantile needed to be fixed for monotonicity "
        "(see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)"
    )
    call.query.notes.inform(text + (f" for metric name {go_quote(name)}" if name else ""), call.node.args[vector_at])


def _each_layout(
    call: Applied, vector: Vector, arg: Expr, ids: Ints, first: Ints, compute: Callable[[Buckets], Floats]
) -> Vector:
    values = np.full((len(first), len(call.steps)), np.nan)
    present = np.zeros(values.shape, np.bool_)
    bounds = _bounds(call, vector, arg)
    for buckets in _layouts(vector, ids, len(first), bounds):
        found = compute(buckets)
        values[buckets.rows] = np.where(buckets.there, found, values[buckets.rows])
        present[buckets.rows] |= buckets.there
    labels = without_name(vector.labels.take(first)).drop(("le",))
    return unique_series(Vector(labels, values, present))


def _bounds(call: Applied, vector: Vector, arg: Expr) -> Floats:
    """Read the bound of each series, float64[n]; NaN and a warning where it is none."""
    codes = vector.labels.column("le")
    distinct, inverse = np.unique(codes, return_inverse=True)
    texts = call.query.symbols.texts(distinct)
    read = [go_parse(text) for text in texts]
    found = np.array([np.nan if bound is None else bound for bound in read])[inverse]
    for text, bound in zip(texts, read, strict=True):
        if bound is not None:
            continue
        at = int(np.nonzero(codes == distinct[texts.index(text)])[0][0])
        (name,) = vector.labels.take(np.array([at])).values(METRIC_NAME)
        message = f'bucket label "le" is missing or has a malformed value of {go_quote(text)}'
        call.query.notes.warn(f"{message} for metric name {go_quote(name)}", arg)
    return found


def _layouts(vector: Vector, ids: Ints, groups: int, bounds: Floats) -> Iterator[Buckets]:
    """Sort the series into histograms with the same bounds present at the same steps."""
    known = ~np.isnan(bounds)
    order = np.lexsort((bounds, ids))
    order = order[known[order]]
    starts = np.searchsorted(ids[order], np.arange(groups + 1))
    alike: dict[bytes, list[int]] = {}
    for row in range(groups):  # histograms, not samples
        here = order[starts[row] : starts[row + 1]]
        if len(here):
            alike.setdefault(bounds[here].tobytes(), []).append(row)
    for key, rows in alike.items():
        size = len(key) // 8
        index = np.stack([order[starts[row] : starts[row] + size] for row in rows])
        yield from _patterns(vector, np.array(rows), np.frombuffer(key), index)


def _patterns(vector: Vector, rows: Ints, bounds: Floats, index: Ints) -> Iterator[Buckets]:
    """Part histograms by which of their buckets are present; nearly always all of them, or none."""
    counts, there = vector.values[index], vector.present[index]
    if there.all():
        yield _coalesced(rows, bounds, counts, np.asarray(there.all(axis=1)))
        return
    number = there.sum(axis=1)
    full = number == len(bounds)
    others = np.moveaxis(there, 1, 2)[~full & (number > 0)]
    for pattern in np.unique(others, axis=0):
        same = np.asarray((there == pattern[None, :, None]).all(axis=1))
        yield _coalesced(rows, bounds[pattern], counts[:, pattern], same)
    if full.any():
        yield _coalesced(rows, bounds, counts, full)


def _coalesced(rows: Ints, bounds: Floats, counts: Floats, there: Mask) -> Buckets:
    """Add up buckets of the same bound, such as le="1" and le="1.0"."""
    distinct, starts = np.unique(bounds, return_index=True)
    if len(distinct) < len(bounds):
        return Buckets(rows, distinct, np.add.reduceat(counts, starts, axis=1), there)
    return Buckets(rows, bounds, counts, there)


def monotonic(counts: Floats) -> tuple[Floats, Mask]:
    """Lift buckets that are below the one before them; counts float64[h, b, steps].

    returns  repaired counts; bool[h, steps] where the repair was more than rounding
    """
    counts = np.array(counts)
    forced = np.zeros((counts.shape[0], counts.shape[2]), np.bool_)
    before = counts[:, 0]
    for bucket in range(1, counts.shape[1]):  # each needs the one before it repaired
        now = counts[:, bucket]
        near = _nearly_equal(before, now)
        falls = (now < before) & ~near
        forced |= falls
        before = np.where(near | falls, before, now)
        counts[:, bucket] = before
    return counts, forced


def _nearly_equal(left: Floats, right: Floats) -> Mask:
    apart, size = np.abs(left - right), np.abs(left) + np.abs(right)
    tiny = (left == 0) | (right == 0) | (size < _SMALLEST_NORMAL)
    limit = np.where(tiny, _TOLERANCE * _SMALLEST_NORMAL, _TOLERANCE * size)
    return np.asarray((left == right) | (apart < limit))


def bucket_quantile(quantile: Floats, bounds: Floats, counts: Floats) -> Floats:
    """Interpolate in the bucket that the quantile falls into.

    quantile  float64[steps]
    bounds    float64[b], ascending; without a last one of +Inf there is no answer
    counts    float64[h, b, steps], monotonic
    returns   float64[h, steps]
    """
    shape = (counts.shape[0], counts.shape[2])
    out = np.full(shape, np.nan)
    if len(bounds) > 1 and np.isposinf(bounds[-1]):
        total = counts[:, -1]
        rank = quantile * total
        bucket = (~(counts[:, :-1] >= rank[:, None])).sum(axis=1)  # an unknown count is not enough
        below = np.maximum(bucket - 1, 0)
        lower = np.where(bucket > 0, bounds[below], 0.0)
        count_below = np.where(bucket > 0, np.take_along_axis(counts, below[:, None], axis=1)[:, 0], 0.0)
        inside = np.take_along_axis(counts, bucket[:, None], axis=1)[:, 0] - count_below
        upper = bounds[bucket]
        out = lower + (upper - lower) * ((rank - count_below) / inside)
        out = np.where((bucket == 0) & (bounds[0] <= 0), bounds[0], out)
        out = np.where(bucket == len(bounds) - 1, bounds[-2], out)
        out = np.where((total == 0) | np.isnan(total), np.nan, out)
    with np.errstate(invalid="ignore"):
        edges = np.where(quantile < 0, -np.inf, np.where(quantile > 1, np.inf, np.nan))
    return np.where(np.isnan(quantile), np.nan, np.where(np.isnan(edges), out, edges))


def bucket_fraction(lower: Floats, upper: Floats, bounds: Floats, counts: Floats) -> Floats:
    """Estimate which share of observations lies between lower and upper (float64[steps] each)."""
    total = counts[:, -1]
    if not np.isposinf(bounds[-1]):
        return np.full(total.shape, np.nan)
    share = (_rank(upper, bounds, counts) - _rank(lower, bounds, counts)) / total
    share = np.where(lower >= upper, 0.0, share)
    return np.where((total == 0) | np.isnan(total) | np.isnan(lower) | np.isnan(upper), np.nan, share)


def _rank(value: Floats, bounds: Floats, counts: Floats) -> Floats:
    """Estimate how many observations are at most `value`, interpolating inside its bucket."""
    bucket = np.searchsorted(bounds, value, side="right").clip(0, len(bounds) - 1)
    below = np.maximum(bucket - 1, 0)
    steps = np.arange(len(value))
    start = np.where(bucket > 0, bounds[below], 0.0 if bounds[0] > 0 else -np.inf)
    count_below = np.where(bucket > 0, counts[:, below, steps], 0.0)
    end, count = bounds[bucket], counts[:, bucket, steps]
    width = end - start
    part = np.where(np.isfinite(width) & (width > 0), (value - start) / width, np.where(np.isposinf(end), 0.0, 1.0))
    out = count_below + (count - count_below) * np.clip(part, 0.0, 1.0)
    return np.where(np.isneginf(value), 0.0, np.where(np.isposinf(value), counts[:, -1], out))


def _of_native(read: Callable[[Histogram], float]) -> Callable[[Applied], Value]:
    """Make a function of native histograms alone: nothing for floats."""
    return lambda call: _of_cells(call, lambda cells: np.array([read(one) for one in call.query.histograms.at(cells)]))


def _of_heads(read: Callable[[Floats], Floats]) -> Callable[[Applied], Value]:
    """Make a function of count and sum of native histograms, float64[n, 2]."""
    return lambda call: _of_cells(call, lambda cells: read(call.query.histograms.heads(cells)))


def _of_cells(call: Applied, read: Callable[[Floats], Floats]) -> Value:
    vector = call.vector()
    which = call.query.histograms.where(vector.values, vector.present)
    if which is None:
        return vector.take(np.zeros(0, np.int64))
    values = np.zeros(which.shape)
    values[which] = read(vector.values[which])
    seen = ever(which)
    return nameless(Vector(vector.labels.take(seen), values[seen], which[seen]))


VECTOR: dict[str, Callable[[Applied], Value]] = {
    "histogram_quantile": _histogram_quantile,
    "histogram_quantiles": _histogram_quantiles,
    "histogram_fraction": _histogram_fraction,
    "histogram_avg": _of_heads(lambda heads: heads[:, 1] / heads[:, 0]),
    "histogram_count": _of_heads(lambda heads: heads[:, 0]),
    "histogram_stddev": _of_native(native.deviation),
    "histogram_stdvar": _of_native(native.variance),
    "histogram_sum": _of_heads(lambda heads: heads[:, 1]),
}
