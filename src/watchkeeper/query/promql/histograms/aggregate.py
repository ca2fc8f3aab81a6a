"""Aggregations of vectors that have native histograms among their samples.

source  Prometheus 3.5, promql/engine.go aggregation
"""

import numpy as np

from watchkeeper.model.checkpoint import checkpoint
from watchkeeper.model.histogram import Histogram
from watchkeeper.model.histogram_sum import IncompatibleSchemas
from watchkeeper.model.labels import METRIC_NAME, Ints
from watchkeeper.query.promql import aggregate as floats
from watchkeeper.query.promql.ast import Aggregate
from watchkeeper.query.promql.context import Query
from watchkeeper.query.promql.histogram_table import without
from watchkeeper.query.promql.histograms import notes
from watchkeeper.query.promql.histograms.total import first_misfit, mean, total
from watchkeeper.query.promql.matrix import Vector

_OF_FLOATS = frozenset({"min", "max", "stddev", "stdvar", "quantile", "topk", "bottomk"})


def of_floats(query: Query, node: Aggregate, vector: Vector) -> Vector:
    """Leave histograms out of the argument of an aggregation that knows floats only, and say so."""
    which = query.histograms.where(vector.values, vector.present) if node.op in _OF_FLOATS else None
    if which is not None:
        place = node if node.op in ("topk", "bottomk") else node.expr
        query.notes.inform(notes.ignored_in_aggregation(node.op), place)
    return without(vector, which)


def aggregate(query: Query, node: Aggregate, vector: Vector) -> Vector:
    """Evaluate an aggregation without a parameter."""
    which = query.histograms.where(vector.values, vector.present)
    if which is None or node.op not in ("sum", "avg"):
        return floats.aggregate(node, of_floats(query, node, vector))
    found = floats.aggregate(node, without(vector, which))
    values, present = np.array(found.values), np.array(found.present)
    ids, first, _ = floats.grouping(node, vector.labels)
    for number in range(len(first)):
        rows = np.flatnonzero(ids == number)
        here = which[rows]
        for step in np.flatnonzero(here.any(axis=0)).tolist():
            checkpoint()
            if present[number, step]:
                query.notes.warn(notes.MIXED_AGGREGATION, node.expr)
                present[number, step] = False
                continue
            made = _combined(query, node, vector, rows[here[:, step]], step)
            if made is not None:
                values[number, step], present[number, step] = query.histograms.cell(made), True
    return Vector(found.labels, values, present)


def _combined(query: Query, node: Aggregate, vector: Vector, rows: Ints, step: int) -> Histogram | None:
    members = query.histograms.at(vector.values[rows, step])
    try:
        found = total(members) if node.op == "sum" else mean(members)
    except IncompatibleSchemas:
        (name,) = vector.labels.take(rows[[first_misfit(members)]]).values(METRIC_NAME)
        query.notes.warn(notes.mixed_buckets(name), node.expr)
        return None
    if found.collision:
        query.notes.warn(notes.collision("aggregation"), node.expr)
    if found.reconciled:
        query.notes.inform(notes.reconciled("aggregation"), node.expr)
    return found.histogram
