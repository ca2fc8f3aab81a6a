"""Do the types of an expression fit? Each check gives the fault in Prometheus' words, or None.

source  Prometheus 3.5, promql/parser/parse.go checkAST
"""

from typing import NamedTuple

from watchkeeper.query.promql.ast import Aggregate, Binary, Call, Expr, Matching, Type
from watchkeeper.query.promql.lexer import go_quote
from watchkeeper.query.promql.signatures import Signature

SET_OPERATORS = frozenset({"and", "or", "unless"})
COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})


class Fault(NamedTuple):
    """What is wrong, and where in the text."""

    message: str
    start: int


def expect(expr: Expr, want: Type, context: str) -> Fault | None:
    """Check one expression's type."""
    if expr.type is want:
        return None
    return Fault(f"expected type {want.documented} in {context}, got {expr.type.documented}", expr.start)


def unary(expr: Expr, start: int) -> Fault | None:
    """Check what a sign stands before."""
    if expr.type in (Type.SCALAR, Type.VECTOR):
        return None
    got = go_quote(expr.type.documented)
    return Fault(f"unary expression only allowed on expressions of type scalar or instant vector, got {got}", start)


def binary(node: Binary, written: Matching | None, op_start: int) -> Fault | None:
    """Check an operator and its sides; `written` is the matching that the text spells out."""
    left, right = node.lhs.type, node.rhs.type
    if node.return_bool and node.op not in COMPARISONS:
        return Fault("bool modifier can only be used on comparison operators", op_start)
    for side in (node.lhs, node.rhs):
        if side.type not in (Type.SCALAR, Type.VECTOR):
            return Fault("binary expression must contain only scalar and instant vector types", side.start)
    if node.op in ("</", ">/") and left is Type.SCALAR:
        return Fault(f'operator "{node.op}" trims histograms: want an instant vector before it', node.lhs.start)
    both_scalar = left is Type.SCALAR and right is Type.SCALAR
    if node.op in COMPARISONS and both_scalar and not node.return_bool:
        return Fault("comparisons between scalars must use BOOL modifier", op_start)
    if Type.SCALAR in (left, right):
        if written is not None and (written.labels or written.on or written.fill != (None, None)):
            return Fault("vector matching only allowed between instant vectors", node.start)
        if node.op in SET_OPERATORS:
            return Fault(f'set operator "{node.op}" not allowed in binary scalar expression', node.start)
    return _matching(node, written, op_start)


def _matching(node: Binary, written: Matching | None, op_start: int) -> Fault | None:
    if written is None:
        return None
    if node.op in SET_OPERATORS and written.card != "many-to-many":
        return Fault(f'no grouping allowed for "{node.op}" operation', node.start)
    for label in written.include:
        if written.on and label in written.labels:
            return Fault(f"label {go_quote(label)} must not occur in ON and GROUP clause at once", op_start)
    return None


def call(node: Call, signature: Signature) -> Fault | None:
    """Check the number and types of a function's arguments."""
    wanted, got = len(signature.args), len(node.args)
    name = go_quote(node.name)
    if signature.variadic == 0:
        if got != wanted:
            return Fault(f"expected {wanted} argument(s) in call to {name}, got {got}", node.start)
    elif got < wanted - 1:
        return Fault(f"expected at least {wanted - 1} argument(s) in call to {name}, got {got}", node.start)
    elif 0 < signature.variadic < got - (wanted - 1):
        return Fault(
            f"expected at most {wanted - 1 + signature.variadic} argument(s) in call to {name}, got {got}", node.start
        )
    for at, arg in enumerate(node.args):
        fault = expect(arg, signature.args[min(at, wanted - 1)], f"call to function {name}")
        if fault:
            return fault
    return None


def aggregate(node: Aggregate) -> Fault | None:
    """Check an aggregation's argument and parameter."""
    fault = expect(node.expr, Type.VECTOR, "aggregation expression")
    if fault or node.param is None:
        return fault
    if node.op == "count_values":
        return expect(node.param, Type.STRING, "aggregation parameter")
    return expect(node.param, Type.SCALAR, "aggregation parameter")
