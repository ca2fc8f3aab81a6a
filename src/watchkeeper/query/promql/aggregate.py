"""Aggregations: many series to one a group, at all steps at once.

source  Prometheus 3.5, promql/engine.go aggregation
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from watchkeeper.model.frame import Floats
from watchkeeper.model.labels import METRIC_NAME, Ints, LabelTable
from watchkeeper.query.promql.ast import Aggregate
from watchkeeper.query.promql.matrix import Mask, Vector, group
from watchkeeper.query.promql.precise import CONDITION_MAX, compensated


@dataclass(frozen=True, slots=True, eq=False)
class Grouped:
    """A vector's rows with those of a group side by side.

    values, present  [n, steps], in group order
    starts           int64[groups], first row of each group
    ids              int64[n], the group of each row
    counts           int64[groups, steps], present rows
    """

    values: Floats
    present: Mask
    starts: Ints
    ids: Ints
    counts: Ints

    def zeroed(self) -> Floats:
        """Give the values with 0 in place of what is not present."""
        return self.values if self.present.all() else np.where(self.present, self.values, 0.0)

    def reduce(self, ufunc: np.ufunc, values: Floats) -> Floats:
        """Reduce each group's rows to one."""
        if len(self.starts) == 1:
            return np.asarray(ufunc.reduce(values, axis=0))[None, :]
        if len(self.starts) == len(values):
            return values
        return np.asarray(ufunc.reduceat(values, self.starts, axis=0))


def grouping(node: Aggregate, labels: LabelTable) -> tuple[Ints, Ints, LabelTable]:
    """Find the groups of an aggregation.

    returns  group of each series, first series of each group, labels of each group
    """
    kept = labels.drop((*node.grouping, METRIC_NAME)) if node.without else labels.keep(node.grouping)
    ids, first = group(kept)
    return ids, first, kept.take(first)


def grouped(vector: Vector, ids: Ints, groups: int) -> Grouped:
    """Bring the rows of each group together."""
    values, present = vector.values, vector.present
    if np.any(ids[1:] < ids[:-1]):
        order = np.argsort(ids, kind="stable")
        values, present, ids = values[order], present[order], ids[order]
    starts = np.searchsorted(ids, np.arange(groups))
    if present.all():
        sizes = np.bincount(ids, minlength=groups)
        counts = np.broadcast_to(sizes[:, None], (groups, values.shape[1]))
    else:
        counts = np.add.reduceat(present, starts, axis=0, dtype=np.int64)
    return Grouped(values, present, starts, ids, counts)


def aggregate(node: Aggregate, vector: Vector) -> Vector:
    """Evaluate one of sum, avg, min, max, count, group, stddev, stdvar."""
    if not len(vector.labels):
        return vector
    ids, first, labels = grouping(node, vector.labels)
    rows = grouped(vector, ids, len(first))
    with np.errstate(all="ignore"):
        return Vector(labels, SIMPLE[node.op](rows), rows.counts > 0)


def sums(rows: Grouped) -> Floats:
    """Add up each group; compensated where positive and negative values nearly cancel."""
    values = rows.zeroed()
    total = rows.reduce(np.add, values)
    if (values >= 0).all() or (values <= 0).all():
        return total
    risky = rows.reduce(np.add, np.abs(values)) > CONDITION_MAX * np.abs(total)
    columns = np.nonzero(risky.any(axis=0))[0]
    if not len(columns):
        return total
    total = np.array(total)
    for number, (start, stop) in enumerate(zip(rows.starts, np.append(rows.starts[1:], len(values)), strict=True)):
        here = columns[risky[number, columns]]
        if len(here):
            total[number, here] = compensated(values[start:stop, here])
    return total


def averages(rows: Grouped) -> Floats:
    """Give the mean; sums beyond the largest float are done in parts."""
    total = sums(rows) / rows.counts
    over = ~np.isfinite(total)
    if over.any():
        parts = rows.zeroed() / np.maximum(rows.counts[rows.ids], 1)
        total = np.where(over, rows.reduce(np.add, parts), total)
    return total


def _extremes(ufunc: np.ufunc) -> Callable[[Grouped], Floats]:
    def extreme(rows: Grouped) -> Floats:
        values = rows.values if rows.present.all() else np.where(rows.present, rows.values, np.nan)
        return rows.reduce(ufunc, values)

    return extreme


def variances(rows: Grouped) -> Floats:
    """Give the population variance, in two passes, counted from the group's lowest: equal values have exactly none."""
    lowest = _extremes(np.fmin)(rows)
    off = np.where(rows.present, rows.values - lowest[rows.ids], 0.0)
    mean = rows.reduce(np.add, off) / rows.counts
    off = np.where(rows.present, off - mean[rows.ids], 0.0)
    return rows.reduce(np.add, off * off) / rows.counts


SIMPLE: dict[str, Callable[[Grouped], Floats]] = {
    "sum": sums,
    "avg": averages,
    "min": _extremes(np.fmin),
    "max": _extremes(np.fmax),
    "count": lambda rows: rows.counts.astype(np.float64),
    "group": lambda rows: np.ones(rows.counts.shape),
    "stdvar": variances,
    "stddev": lambda rows: np.sqrt(variances(rows)),
}
