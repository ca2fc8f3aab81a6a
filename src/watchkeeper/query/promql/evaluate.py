"""The tree walk: each node becomes one matrix for all steps.

source  Prometheus 3.5, promql/engine.go evaluator.eval
"""

from collections.abc import Callable

import numpy as np

from watchkeeper.model.frame import Floats
from watchkeeper.model.labels import Ints, LabelTable
from watchkeeper.query.promql import binary, extended, info, rank, select, thinned
from watchkeeper.query.promql.annotations import place_of
from watchkeeper.query.promql.ast import (
    Aggregate,
    Binary,
    Call,
    Expr,
    MatrixSelector,
    NumberLiteral,
    Paren,
    StringLiteral,
    Subquery,
    Type,
    Unary,
    VectorSelector,
    ms,
    unwrapped,
)
from watchkeeper.query.promql.context import Query, Steps
from watchkeeper.query.promql.functions import table
from watchkeeper.query.promql.functions.absent import absent_labels
from watchkeeper.query.promql.functions.applied import Applied
from watchkeeper.query.promql.histogram_table import without
from watchkeeper.query.promql.histograms import aggregate
from watchkeeper.query.promql.histograms import windows as histogram_windows
from watchkeeper.query.promql.histograms.binary import negated
from watchkeeper.query.promql.lexer import go_quote
from watchkeeper.query.promql.matrix import Mask, Scalar, Text, Value, Vector, ever, nameless
from watchkeeper.query.promql.starts import warn_of_overlaps
from watchkeeper.query.promql.tally import Tally
from watchkeeper.query.promql.windows import RangeVector, Windows, windows_of, windows_over

_DEPENDS_ON_STEP = frozenset({
    "day_of_month", "day_of_week", "day_of_year", "days_in_month", "hour", "minute", "month", "year",
    "predict_linear", "time", "timestamp",
})  # fmt: skip
_COUNTER_ENDINGS = ("_total", "_sum", "_count", "_bucket")


def evaluate(query: Query, expr: Expr, steps: Steps) -> Value:
    """Evaluate an expression that is no range vector, at all steps.

    raises  BadQuery, OverLimit, Refused (timeout)
    """
    query.budget.check()
    if len(steps) > 1 and not isinstance(expr, NumberLiteral | StringLiteral) and is_fixed(expr):
        return _repeated(_once(query, expr, steps), len(steps))
    if query.trace is not None:
        return _traced(query, expr, steps)
    return _shared(query, expr, steps)


def _shared(query: Query, expr: Expr, steps: Steps) -> Value:
    """Evaluate an expression, once a query where its text stands there more than once."""
    if not query.repeats(expr):
        return _EVALUATE[type(expr)](query, expr, steps)
    key = (query.text[expr.start : expr.end], steps.start_ms, steps.end_ms, steps.step_ms)
    known = query.evaluated.get(key)
    if known is None:
        before = query.notes.count
        known = _EVALUATE[type(expr)](query, expr, steps)
        if query.notes.count == before:  # notes have positions
            query.evaluated[key] = known
    return known


def _traced(query: Query, expr: Expr, steps: Steps) -> Value:
    assert query.trace is not None
    with query.trace.node(expr, query.budget.read_samples) as traced:
        before = len(query.evaluated)
        value = _shared(query, expr, steps)
        traced.reused = query.repeats(expr) and before == len(query.evaluated)
        traced.samples, traced.steps = query.budget.read_samples, len(steps)
        traced.series = len(value.labels) if isinstance(value, Vector) else 1
    return value


def _once(query: Query, expr: Expr, steps: Steps) -> Value:
    """Evaluate at one step what is the same at all; it counts as often as it is used, as in Prometheus."""
    tally = query.tally
    query.tally = None if tally is None else Tally(1)
    value = evaluate(query, expr, steps.first())
    if tally is not None and query.tally is not None:
        tally.add(query.tally.total)
    query.tally = tally
    return value


def is_fixed(expr: Expr) -> bool:
    """Say whether an expression gives the same at every step, because of @ and literals."""
    if isinstance(expr, VectorSelector):
        return expr.at is not None
    if isinstance(expr, Subquery) and expr.at is not None:
        return True
    if isinstance(expr, Subquery) or (isinstance(expr, Call) and expr.name in _DEPENDS_ON_STEP):
        return False
    return all(is_fixed(child) for child in expr.children)


def _repeated(value: Value, steps: int) -> Value:
    if isinstance(value, Scalar):
        return Scalar(np.broadcast_to(value.values, (steps,)))
    if isinstance(value, Vector):
        shape = (len(value.labels), steps)
        values, present = np.broadcast_to(value.values, shape), np.broadcast_to(value.present, shape)
        return Vector(value.labels, values, present, value.ordered)
    return value


# --- leaves -------------------------------------------------------------------------------------------------


def _number(_query: Query, node: NumberLiteral, steps: Steps) -> Scalar:
    return Scalar(np.full(len(steps), node.value))


def _string(_query: Query, node: StringLiteral, _steps: Steps) -> Text:
    return Text(node.value)


def _paren(query: Query, node: Paren, steps: Steps) -> Value:
    return evaluate(query, node.expr, steps)


def _selector(query: Query, node: VectorSelector, steps: Steps) -> Vector:
    if node.extended:
        return extended.smoothed_vector(query, node, steps)
    return select.select_vector(query, node, steps)


# --- operators ----------------------------------------------------------------------------------------------


def _unary(query: Query, node: Unary, steps: Steps) -> Value:
    value = evaluate(query, node.expr, steps)
    if node.op == "+":
        return value
    if isinstance(value, Scalar):
        return Scalar(-value.values)
    assert isinstance(value, Vector)
    return nameless(Vector(value.labels, negated(query, value), value.present))


def _binary(query: Query, node: Binary, steps: Steps) -> Value:
    left, right = evaluate(query, node.lhs, steps), evaluate(query, node.rhs, steps)
    value = binary.binary(query, node, left, right)
    return _charged(query, value)


def _charged(query: Query, value: Value) -> Value:
    if isinstance(value, Vector):
        query.budget.charge(value.values.size)
    return value


def _aggregate(query: Query, node: Aggregate, steps: Steps) -> Value:
    vector = evaluate(query, node.expr, steps)
    assert isinstance(vector, Vector)
    if node.param is None:
        found = aggregate.aggregate(query, node, vector)
    else:
        of_floats = aggregate.of_floats(query, node, vector)
        found = rank.aggregate(query, node, of_floats, evaluate(query, node.param, steps))
    query.budget.release(vector.values.size)
    return _charged(query, found)


# --- functions ----------------------------------------------------------------------------------------------


def _call(query: Query, node: Call, steps: Steps) -> Value:
    if node.name == "timestamp" and isinstance(unwrapped(node.args[0]), VectorSelector):
        found = select.select_times(query, unwrapped(node.args[0]), steps)  # type: ignore[arg-type]
        return nameless(found)
    if node.name == "start_timestamp":
        selector = unwrapped(node.args[0])
        if isinstance(selector, VectorSelector):
            return nameless(select.select_starts(query, selector, steps))
        return select.empty_vector(query, steps)  # an expression's values began nowhere
    if node.name == "info":
        base = evaluate(query, node.args[0], steps)
        assert isinstance(base, Vector)
        return _charged(query, info.info(query, node, base, steps))
    if any(arg.type is Type.MATRIX for arg in node.args):
        return _charged(query, _range_call(query, node, steps))
    args = [evaluate(query, arg, steps) for arg in node.args]
    if query.histograms and node.name not in table.OF_HISTOGRAMS:
        args = [_of_floats(query, arg) for arg in args]
    with np.errstate(all="ignore"):
        return _charged(query, table.VECTOR[node.name](Applied(node, args, query, steps)))


def _of_floats(query: Query, value: Value) -> Value:
    if not isinstance(value, Vector):
        return value
    return without(value, query.histograms.where(value.values, value.present))


def _range_call(query: Query, node: Call, steps: Steps) -> Vector:
    at = next(number for number, arg in enumerate(node.args) if arg.type is Type.MATRIX)
    selector = unwrapped(node.args[at])
    if isinstance(selector, MatrixSelector) and selector.vector.extended:
        return _extended_call(query, node, selector, steps)
    if isinstance(selector, MatrixSelector):
        ends = select.window_ends(steps, query.resolve(selector.vector.at), ms(selector.vector.offset_ms))
        found = thinned.range_function(query, node, selector, ends)
        if found is not None:
            return _ranged(query, node, *found)
    ranges = range_vector(query, node.args[at], steps)
    scalars = [evaluate(query, arg, steps) for number, arg in enumerate(node.args) if number != at]
    numbers = [value.values for value in scalars if isinstance(value, Scalar)]
    if node.name == "absent_over_time":
        _, there = ranges.apply(table.RANGE["present_over_time"])
        gone = np.asarray(~there.any(axis=0))
        answer = Applied(node, [], query, steps).lone(np.ones(1), gone, absent_labels(node.args[0]))
        return answer if gone.any() else answer.take(np.zeros(0, np.int64))
    if node.name == "quantile_over_time" and histogram_windows.has_floats(query, ranges):
        rank.warn_of_quantile(query, node.args[0], numbers[0])
    if node.name in ("rate", "increase", "irate"):
        warn_of_overlaps(query, node, ranges)
    function = _with_numbers(table.RANGE[node.name], numbers)
    return _ranged(query, node, ranges.labels, *histogram_windows.apply(query, node, ranges, function))


def _ranged(query: Query, node: Call, labels: LabelTable, values: Floats, present: Mask) -> Vector:
    seen = ever(present)
    if not seen.all():
        labels, values, present = labels.take(seen), values[seen], present[seen]
    if node.name in ("rate", "increase"):
        _inform_of_gauges(query, node, labels, values, present)
    vector = Vector(labels, values, present)
    return vector if node.name in table.KEEP_NAME else nameless(vector)


def _extended_call(query: Query, node: Call, selector: MatrixSelector, steps: Steps) -> Vector:
    ranges, values, present = extended.moved(query, node, selector, steps)
    if query.tally is not None:
        query.tally.add(_touched(query, ranges))
    seen = ever(present)
    labels = ranges.labels.take(seen)
    if node.name in ("rate", "increase"):
        _inform_of_gauges(query, node, labels, values[seen], present[seen])
    return nameless(Vector(labels, values[seen], present[seen]))


def _with_numbers(
    function: Callable[..., tuple[Floats, Mask]], numbers: list[Floats]
) -> Callable[[Windows], tuple[Floats, Mask]]:
    """Give the function its scalar arguments, one number a window."""

    def apply(windows: Windows) -> tuple[Floats, Mask]:
        return function(windows, *(np.tile(one, len(windows.lo) // len(one)) for one in numbers))

    return apply


def _inform_of_gauges(query: Query, node: Call, labels: LabelTable, values: Floats, present: Mask) -> None:
    """Say which metrics with a result may be no counters; native histograms say it themselves."""
    if "__name__" not in labels.names:
        return
    which = query.histograms.where(values, present)
    labels = labels if which is None else labels.take(ever(present & ~which))
    place = place_of(node.args[0])
    codes = np.unique(labels.column("__name__"))
    for name in query.symbols.texts(codes):
        if name and not name.endswith(_COUNTER_ENDINGS):
            message = "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "
            query.notes.inform(message + go_quote(name), place)


def range_vector(query: Query, expr: Expr, steps: Steps) -> RangeVector:
    """Evaluate a range selector or a subquery to windows."""
    if query.trace is None:
        return _ranges(query, expr, steps)
    with query.trace.node(expr, query.budget.read_samples) as traced:
        ranges = _ranges(query, expr, steps)
        traced.samples, traced.steps, traced.series = query.budget.read_samples, len(steps), len(ranges.labels)
    return ranges


def _ranges(query: Query, expr: Expr, steps: Steps) -> RangeVector:
    node = unwrapped(expr)
    if isinstance(node, MatrixSelector):
        ranges = select.select_range(query, node, steps)
    else:
        assert isinstance(node, Subquery), node
        ranges = _subquery(query, node, steps)
    if query.tally is not None:
        query.tally.add(_touched(query, ranges))
    return ranges


def _touched(query: Query, ranges: RangeVector) -> Ints:
    """Count the samples that the windows of each step cover, a histogram by its size; int64[steps]."""
    counts = ranges.samples()
    for block in ranges.blocks:
        which = query.histograms.where(block.values)
        if which is not None:
            before = np.zeros((len(block.values), len(block.times) + 1), np.int64)
            more = np.zeros(block.values.shape, np.int64)
            more[which] = query.histograms.sizes(block.values[which]) - 1
            np.cumsum(more, axis=1, out=before[:, 1:])
            counts += (before[:, block.hi] - before[:, block.lo]).reshape(block.shape).sum(axis=0)
    return counts


def _subquery(query: Query, node: Subquery, steps: Steps) -> RangeVector:
    """Evaluate the inner expression at multiples of its own step, and lay windows over what it gives."""
    ends = select.window_ends(steps, query.resolve(node.at), ms(node.offset_ms))
    range_ms = ms(node.range_ms)
    step_ms = ms(node.step_ms) or query.settings.subquery_step_ms
    begin = int(ends.min()) - range_ms
    points = (int(ends.max()) - begin) // step_ms
    query.budget.charge(points)  # before a year by the second is laid out in memory
    query.budget.release(points)
    inner = Steps.spanning(begin - begin % step_ms + step_ms, int(ends.max()), step_ms)
    tally, query.tally = query.tally, None
    vector = evaluate(query, node.expr, inner) if len(inner) else select.empty_vector(query, inner)
    query.tally = tally
    assert isinstance(vector, Vector)
    vector = query.histograms.with_unknown_resets(vector)
    if not len(vector.labels) or not len(inner):
        return RangeVector(select.empty_vector(query, steps).labels, [], len(steps))
    frame = windows_over(np.ascontiguousarray(vector.values), vector.present, inner.times, vector.labels)
    tables, blocks = windows_of([frame], ends, steps.times, range_ms, keep_stale=True)
    if not blocks:
        return RangeVector(select.empty_vector(query, steps).labels, [], len(steps))
    return RangeVector(query.joined(tables), blocks, len(steps))


_EVALUATE: dict[type[Expr], Callable[..., Value]] = {
    NumberLiteral: _number,
    StringLiteral: _string,
    Paren: _paren,
    VectorSelector: _selector,
    Unary: _unary,
    Binary: _binary,
    Aggregate: _aggregate,
    Call: _call,
}
