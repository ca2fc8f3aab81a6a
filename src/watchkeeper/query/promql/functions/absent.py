"""The labels of what is absent: those that the selector asked for."""

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
    found: dict[str, str] = {}
    seen: set[str] = set()
    for matcher in node.matchers:
        if matcher.name == METRIC_NAME:
            continue
        if matcher.op == "=" and matcher.name not in seen:
            found[matcher.name] = matcher.value
            seen.add(matcher.name)
        else:
            found.pop(matcher.name, None)
    return {name: value for name, value in found.items() if value}
