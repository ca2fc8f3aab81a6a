"""Operators where a side is a native histogram, a cell at a time.

source  Prometheus 3.5, promql/engine.go vectorElemBinop
"""

from dataclasses import replace

import numpy as np

from watchkeeper.model.checkpoint import checkpoint
from watchkeeper.model.frame import Floats, is_histogram
from watchkeeper.model.histogram import Hint, Histogram
from watchkeeper.model.histogram_sum import IncompatibleSchemas, add, subtract
from watchkeeper.query.promql.ast import Binary
from watchkeeper.query.promql.context import Query
from watchkeeper.query.promql.histogram_table import places
from watchkeeper.query.promql.histograms import notes
from watchkeeper.query.promql.histograms.trim import TRIMS
from watchkeeper.query.promql.matrix import Mask, Vector

_OPERATIONS = {"+": (add, "addition"), "-": (subtract, "subtraction")}
Cell = float | Histogram


class _Unfit(Exception):
    """The operator gives nothing for these two; `warns` tells a warning from an info."""

    def __init__(self, message: str, *, warns: bool = False) -> None:
        super().__init__(message)
        self.message, self.warns = message, warns


def negated(query: Query, vector: Vector) -> Floats:
    """Give the values of a vector with a minus sign."""
    values = -vector.values
    which = query.histograms.where(vector.values, vector.present)
    if which is not None:
        values[which] = query.histograms.cells([-one for one in query.histograms.at(vector.values[which])])
    return values


def among(query: Query, left: Floats, right: Floats, present: Mask) -> Mask | None:
    """Say at which cells a side is a histogram; None when at none."""
    if not query.histograms:
        return None
    found = present & (is_histogram(left) | is_histogram(right))
    return found if found.any() else None


def replaced(
    query: Query, node: Binary, sides: tuple[Floats, Floats], which: Mask, found: tuple[Floats, Mask]
) -> tuple[Floats, Mask]:
    """Put what an operator gives of histograms in place of what it made of the cells that stand for them.

    sides  float64 each, broadcastable to the shape of the values
    which  cells where a side is a histogram
    found  values, and which of them hold, as computed of floats
    """
    values, present = np.array(found[0]), found[1] & ~which
    left, right = (np.broadcast_to(side, values.shape) for side in sides)
    last: dict[int, _Unfit] = {}  # of several faults at a step the last one is told
    for row, step in places(which):
        checkpoint()
        one, other = _cell(query, left[row, step : step + 1]), _cell(query, right[row, step : step + 1])
        try:
            made = _combined(query, node, one, other)
        except _Unfit as unfit:
            last[step] = unfit
            continue
        if node.return_bool:
            values[row, step], present[row, step] = float(made is not None), True
        elif made is not None:
            values[row, step] = query.histograms.cell(made) if isinstance(made, Histogram) else made
            present[row, step] = True
    for fault in last.values():
        (query.notes.warn if fault.warns else query.notes.inform)(fault.message, node)
    return values, present


def _cell(query: Query, cell: Floats) -> Cell:
    return query.histograms.at(cell)[0] if is_histogram(cell)[0] else float(cell[0])


def _combined(query: Query, node: Binary, left: Cell, right: Cell) -> Cell | None:
    """Apply the operator; None where a comparison does not hold.

    raises  _Unfit
    """
    op = node.op
    if isinstance(left, Histogram) and isinstance(right, Histogram):
        if op in ("==", "!="):
            return left if (left == right) is (op == "==") else None
        if op in _OPERATIONS:
            return _added(query, node, left, right)
    elif isinstance(left, Histogram):
        assert not isinstance(right, Histogram)
        if op in ("*", "/"):
            return left.times(right) if op == "*" else left.over(right)
        if op in TRIMS:
            return TRIMS[op](left, right)
    elif isinstance(right, Histogram) and op == "*":
        return right.times(left)
    kinds = ["histogram" if isinstance(side, Histogram) else "float" for side in (left, right)]
    raise _Unfit(notes.incompatible_types(op, *kinds))


def _added(query: Query, node: Binary, left: Histogram, right: Histogram) -> Histogram:
    combine, name = _OPERATIONS[node.op]
    try:
        found = combine(left, right)
    except IncompatibleSchemas:
        raise _Unfit(notes.incompatible_layout(node.op), warns=True) from None
    made = notes.told(query.notes, found, name, node)
    return made if node.op == "+" else replace(made, hint=Hint.GAUGE)
