"""Trees back to text, and to the JSON that Prometheus' UI reads.

source  Prometheus 3.5, promql/parser/printer.go, prettier.go; web/api/v1/translate_ast.go
"""

from collections.abc import Callable
from typing import Any

from watchkeeper.model.duration import format_duration
from watchkeeper.model.labels import METRIC_NAME
from watchkeeper.model.matchers import Matcher
from watchkeeper.query.promql.ast import (
    Aggregate,
    At,
    Binary,
    Call,
    Duration,
    Expr,
    MatrixSelector,
    NumberLiteral,
    Paren,
    StringLiteral,
    Subquery,
    Unary,
    VectorSelector,
)
from watchkeeper.query.promql.durations import written
from watchkeeper.query.promql.lexer import go_quote
from watchkeeper.query.promql.numerals import go_general
from watchkeeper.query.promql.signatures import SIGNATURES

_LINE_MAX = 100


def text(expr: Expr) -> str:
    """Write an expression on one line."""
    return _TEXT[type(expr)](expr)


def pretty(expr: Expr, depth: int = 0) -> str:
    """Write an expression in Prometheus' layout: parts that are too long for a line are broken up and indented."""
    pad = "  " * depth
    line = text(expr)
    if len(pad) + len(line) <= _LINE_MAX:
        return pad + line
    if isinstance(expr, Aggregate):
        args = [expr.expr] if expr.param is None else [expr.param, expr.expr]
        return f"{pad}{_aggregate_head(expr)}(\n{_block(args, depth)}\n{pad})"
    if isinstance(expr, Call) and expr.args:
        return f"{pad}{expr.name}(\n{_block(list(expr.args), depth)}\n{pad})"
    if isinstance(expr, Paren):
        return f"{pad}(\n{pretty(expr.expr, depth + 1)}\n{pad})"
    if isinstance(expr, Binary):
        return f"{pretty(expr.lhs, depth + 1)}\n{pad}{_operator(expr)}\n{pretty(expr.rhs, depth + 1)}"
    if isinstance(expr, Subquery):
        return f"{pretty(expr.expr, depth)}{_subquery_range(expr)}"
    if isinstance(expr, Unary):
        return f"{pad}{expr.op}{pretty(expr.expr, depth).lstrip()}"
    return pad + line


def _block(args: list[Expr], depth: int) -> str:
    return ",\n".join(pretty(arg, depth + 1) for arg in args)


def _matchers(matchers: tuple[Matcher, ...], name: str) -> str:
    shown = [
        matcher
        for matcher in matchers
        if not (matcher.name == METRIC_NAME and matcher.op == "=" and matcher.value == name)
    ]
    return "{" + ",".join(f"{_label(one.name)}{one.op}{go_quote(one.value)}" for one in shown) + "}" if shown else ""


def _label(name: str) -> str:
    plain = name.isascii() and name.replace("_", "a").isalnum() and not name[0].isdigit()
    return name if plain else go_quote(name)


def _plain_metric(name: str) -> bool:
    bare = name.replace("_", "a").replace(":", "a")
    return bool(name) and name.isascii() and bare.isalnum() and not name[0].isdigit()


def _bare_selector(node: VectorSelector) -> str:
    if node.name and not _plain_metric(node.name):
        inside = _matchers(node.matchers, node.name)[1:-1]
        return "{" + go_quote(node.name) + (f",{inside}" if inside else "") + "}"
    return node.name + _matchers(node.matchers, node.name)


def _moved(at: At, offset_ms: int | Duration) -> str:
    out = "" if at is None else f" @ {at}()" if isinstance(at, str) else f" @ {at / 1000:.3f}"
    return out + (f" offset {written(offset_ms)}" if offset_ms else "")


def _selector(node: VectorSelector) -> str:
    return _bare_selector(node) + _moved(node.at, node.offset_ms) + (f" {node.extended}" if node.extended else "")


def _matrix(node: MatrixSelector) -> str:
    vector = node.vector
    extended = f" {vector.extended}" if vector.extended else ""
    return f"{_bare_selector(vector)}[{written(node.range_ms)}]{extended}{_moved(vector.at, vector.offset_ms)}"


def _subquery_range(node: Subquery) -> str:
    step = written(node.step_ms) if node.step_ms else ""
    return f"[{written(node.range_ms)}:{step}]{_moved(node.at, node.offset_ms)}"


def _operator(node: Binary) -> str:
    out = node.op + (" bool" if node.return_bool else "")
    matching = node.matching
    if matching is not None and (matching.on or matching.labels):
        out += f" {'on' if matching.on else 'ignoring'} ({', '.join(matching.labels)})"
    if matching is not None and matching.card in ("many-to-one", "one-to-many"):
        out += f" group_{'left' if matching.card == 'many-to-one' else 'right'} ({', '.join(matching.include)})"
    left, right = matching.fill if matching is not None else (None, None)
    if left is not None and left == right:
        return f"{out} fill ({go_general(left)})"
    out += f" fill_left ({go_general(left)})" if left is not None else ""
    return out + (f" fill_right ({go_general(right)})" if right is not None else "")


def _aggregate_head(node: Aggregate) -> str:
    if node.without:
        return f"{node.op} without ({', '.join(node.grouping)}) "
    return f"{node.op} by ({', '.join(node.grouping)}) " if node.grouping else node.op


def _aggregate(node: Aggregate) -> str:
    param = "" if node.param is None else text(node.param) + ", "
    return f"{_aggregate_head(node)}({param}{text(node.expr)})"


def _number(node: NumberLiteral) -> str:
    return format_duration(round(node.value * 1000)) if node.is_duration else go_general(node.value)


_TEXT: dict[type[Expr], Callable[[Any], str]] = {
    NumberLiteral: _number,
    StringLiteral: lambda node: go_quote(node.value),
    VectorSelector: _selector,
    MatrixSelector: _matrix,
    Subquery: lambda node: text(node.expr) + _subquery_range(node),
    Paren: lambda node: f"({text(node.expr)})",
    Unary: lambda node: node.op + text(node.expr),
    Binary: lambda node: f"{text(node.lhs)} {_operator(node)} {text(node.rhs)}",
    Aggregate: _aggregate,
    Call: lambda node: f"{node.name}({', '.join(text(arg) for arg in node.args)})",
}


def tree(expr: Expr) -> dict[str, Any]:
    """Give an expression as plain mappings."""
    return _TREE[type(expr)](expr)


def _place(at: At, offset_ms: int | Duration) -> dict[str, Any]:
    return {
        "offset": _plain(offset_ms),
        "timestamp": at if isinstance(at, int) else None,
        "startOrEnd": at if isinstance(at, str) else None,
    }


def _plain(duration: int | Duration) -> int:
    """Give milliseconds; 0 for what depends on the query, as Prometheus does."""
    return duration if isinstance(duration, int) else 0


def _selector_tree(node: VectorSelector, kind: str) -> dict[str, Any]:
    matchers = [{"name": one.name, "value": one.value, "type": one.op} for one in node.matchers]
    return {"type": kind, "name": node.name, "matchers": matchers, **_place(node.at, node.offset_ms)}


def _binary_tree(node: Binary) -> dict[str, Any]:
    found = node.matching
    matching = None
    if found is not None:
        labels, include = list(found.labels), list(found.include)
        matching = {"card": found.card, "labels": labels, "on": found.on, "include": include}
    sides = {"lhs": tree(node.lhs), "rhs": tree(node.rhs)}
    return {"type": "binaryExpr", "op": node.op, **sides, "matching": matching, "bool": node.return_bool}


def _call_tree(node: Call) -> dict[str, Any]:
    signature = SIGNATURES[node.name]
    function = {
        "name": node.name,
        "argTypes": [kind.value for kind in signature.args],
        "variadic": signature.variadic,
        "returnType": signature.returns.value,
    }
    return {"type": "call", "func": function, "args": [tree(arg) for arg in node.args]}


def _aggregate_tree(node: Aggregate) -> dict[str, Any]:
    param = None if node.param is None else tree(node.param)
    grouped = {"grouping": list(node.grouping), "without": node.without}
    return {"type": "aggregation", "op": node.op, "expr": tree(node.expr), "param": param, **grouped}


def _subquery_tree(node: Subquery) -> dict[str, Any]:
    lengths = {"range": _plain(node.range_ms), "step": _plain(node.step_ms)}
    return {"type": "subquery", "expr": tree(node.expr), **lengths, **_place(node.at, node.offset_ms)}


_TREE: dict[type[Expr], Callable[[Any], dict[str, Any]]] = {
    NumberLiteral: lambda node: {"type": "numberLiteral", "val": go_general(node.value)},
    StringLiteral: lambda node: {"type": "stringLiteral", "val": node.value},
    VectorSelector: lambda node: _selector_tree(node, "vectorSelector"),
    MatrixSelector: lambda node: {**_selector_tree(node.vector, "matrixSelector"), "range": _plain(node.range_ms)},
    Subquery: _subquery_tree,
    Paren: lambda node: {"type": "parenExpr", "expr": tree(node.expr)},
    Unary: lambda node: {"type": "unaryExpr", "op": node.op, "expr": tree(node.expr)},
    Binary: _binary_tree,
    Aggregate: _aggregate_tree,
    Call: _call_tree,
}
