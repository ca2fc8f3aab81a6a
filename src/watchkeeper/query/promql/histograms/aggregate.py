"""Aggregations of vectors that have native histograms among their samples.

source  Prometheus 3.5, promql/engine.go aggregation
"""

import numpy as np

from watchkeeper.model.checkpoint import checkpoint
from watchkeeper.model.frame import Floats
from watchkeeper.model.histogram import Histogram
from watchkeeper.model.histogram_sum import IncompatibleSchemas
from watchkeeper.model.labels import METRIC_NAME, Ints
from watchkeeper.query.promql import aggregate as floats
from watchkeeper.query.promql.ast import Aggregate
from watchkeeper.query.promql.context import Query
from watchkeeper.query.promql.histogram_table import without
from watchkeeper.query.promql.histograms import notes
from watchkeeper.query.promql.histograms.total import first_misfit, grouped, mean, total
from watchkeeper.query.promql.matrix import Mask, Vector

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
    rows, steps = np.nonzero(which)
    places = ids[rows] * which.shape[1] + steps  # of the group's cell
    order = np.argsort(places, kind="stable")
    starts = np.flatnonzero(np.diff(places[order], prepend=-1))
    cells = np.unravel_index(places[order[starts]], (len(first), which.shape[1]))
    mixed = present[cells]
    if mixed.any():
        query.notes.warn(notes.MIXED_AGGREGATION, node.expr)
    found_cells, there = _all(query, node, vector, (rows[order], steps[order]), starts, mixed)
    values[cells] = np.where(there, found_cells, values[cells])
    present[cells] = there
    return Vector(found.labels, values, present)


def _all(
    query: Query, node: Aggregate, vector: Vector, members: tuple[Ints, Ints], starts: Ints, mixed: Mask
) -> tuple[Floats, Mask]:
    """Combine the histograms of all groups at all steps.

    members  row and step of each histogram, those of a group's cell side by side
    starts   where each cell's begin
    mixed    which cells have floats, too: nothing comes of them
    returns  float64[cells], bool[cells]
    """
    rows, steps = members
    cells, there = np.zeros(len(starts)), ~mixed
    columns = query.histograms.columns(vector.values[rows, steps])
    alone = there
    if columns is not None:
        made, alone = grouped(columns, starts, mean=node.op == "avg")
        there_at_once = there & ~alone
        cells[there_at_once] = query.histograms.cells_of(made)[there_at_once]
        alone = alone & there
    ends = np.append(starts[1:], len(rows))
    for cell in np.flatnonzero(alone).tolist():
        checkpoint()
        here = slice(int(starts[cell]), int(ends[cell]))
        one = _combined(query, node, vector, rows[here], int(steps[here.start]))
        there[cell] = one is not None
        if one is not None:
            cells[cell] = query.histograms.cell(one)
    return cells, there


def _combined(query: Query, node: Aggregate, vector: Vector, rows: Ints, step: int) -> Histogram | None:
    members = query.histograms.at(vector.values[rows, step])
    try:
        found = total(members) if node.op == "sum" else mean(members)
    except IncompatibleSchemas:
        (name,) = vector.labels.take(rows[[first_misfit(members)]]).values(METRIC_NAME)
        query.notes.warn(notes.mixed_buckets(name), node.expr)
        return None
    return notes.told(query.notes, found, "aggregation", node.expr)
