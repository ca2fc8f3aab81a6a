"""The labels of what is absent: those that the selector asked for."""

from collections import Counter

from watchkeeper.model.labels import METRIC_NAME
from watchkeeper.query.promql.ast import Expr, MatrixSelector, VectorSelector, unwrapped


def absent_labels(expr: Expr) -> dict[str, str]:
    """Give the labels that absent() and absent_over_time() answer with.

    returns  the selector's equalities, without those named in several matchers; nothing for other expressions
    source   Prometheus 3.5, promql/functions.go createLabelsForAbsentFunction
    """
    node = unwrapped(expr)
    if isinstance(node, MatrixSelector):
        node = node.vector
    if not isinstance(node, VectorSelector):
        return {}
    times = Counter(matcher.name for matcher in node.matchers)
    return {
        one.name: one.value
        for one in node.matchers
        if one.op == "=" and one.name != METRIC_NAME and times[one.name] == 1 and one.value
    }
