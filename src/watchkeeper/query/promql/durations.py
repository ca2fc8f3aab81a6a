"""Durations in brackets and after offset: numbers, durations, and sums of them; some known only when a query runs.

source  Prometheus 3.x, promql/parser/generated_parser.y (duration_expr), promql/durations.go
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from watchkeeper.model.duration import format_duration, parse_duration
from watchkeeper.model.errors import BadInput, BadQuery
from watchkeeper.query.promql.ast import (
    Aggregate,
    Binary,
    Call,
    Duration,
    Expr,
    MatrixSelector,
    NumberLiteral,
    Paren,
    Subquery,
    Unary,
    VectorSelector,
)
from watchkeeper.query.promql.cursor import Cursor
from watchkeeper.query.promql.lexer import Token, go_quote
from watchkeeper.query.promql.numerals import go_general, go_number

_POWER = {"+": 1, "-": 1, "*": 2, "/": 2, "%": 2, "^": 4}
_SIGN_POWER = 3
_SECONDS_MAX = (1 << 63) / 1e9
OF_QUERY = ("step", "range", "start", "end")  # functions whose value is the query's own


class DurationParser(Cursor):
    """The part of the parser that reads durations.

    experimental  whether expressions that Prometheus keeps behind a flag are known
    """

    def __init__(self, text: str, *, experimental: bool) -> None:
        super().__init__(text)
        self._experimental = experimental

    def _number_value(self, token: Token) -> float:
        try:
            return go_number(token.text.lower())
        except ValueError:
            self.fail(
                f"error parsing number: strconv.ParseFloat: parsing {go_quote(token.text)}: invalid syntax", token.start
            )

    def _duration_ms(self, token: Token) -> int:
        try:
            return parse_duration(token.text)
        except BadInput as error:
            text = str(error)
            self.fail(
                f"not a valid duration string: {go_quote(token.text)}" if "not a valid" in text else text, token.start
            )

    def _positive_duration(self, where: str) -> int | Duration:
        """Read what stands in brackets: milliseconds, or what gives them when the query runs."""
        start = self.now.start
        found = self._sum(0, where)
        if found.of_query:
            return found
        length_ms = _ms(found)
        if length_ms <= 0:
            self.fail("duration must be greater than 0", start)
        return length_ms

    def _offset_duration(self) -> int | Duration:
        """Read what follows offset: one operand with a sign, not a sum."""
        found = self._operand("offset", signed=True)
        return found if found.of_query else _ms(found)

    def _sum(self, power: int, where: str) -> Duration:
        left = self._operand(where, signed=False)
        while self.now.kind == "op" and _POWER.get(self.now.text, 0) > power:
            op = self.next()
            self._is_expression(op)
            right = self._sum(_POWER[op.text] - (op.text == "^"), where)
            if not right.of_query and right.seconds == 0 and op.text in "/%":
                self.fail("division by zero" if op.text == "/" else "modulo by zero", op.start)
            left = _folded(Duration(left.start, right.end, op.text, (left, right)))
        return left

    def _operand(self, where: str, *, signed: bool) -> Duration:
        token = self.now
        if self.sees("+", "-"):
            self.next()
            inner = self._operand(where, signed=True) if signed else self._sum(_SIGN_POWER, where)
            if not signed:
                self._is_expression(token)
            return _folded(Duration(token.start, inner.end, "neg" if token.text == "-" else "pos", (inner,)))
        if token.kind == "number":
            self.next()
            return Duration(token.start, token.end, "number", (), self._number_value(token))
        if token.kind == "duration":
            self.next()
            return Duration(token.start, token.end, "duration", (), self._duration_ms(token) / 1000)
        if self.takes("("):
            self._is_expression(token)
            inner = self._sum(0, where)
            close = self.want(")", where)
            return _folded(Duration(token.start, close.end, "paren", (inner,)))
        name = token.text.lower()
        if token.kind == "identifier" and name in ("step", "range", "min_of", "max_of"):
            return self._function(name, where)
        return self.unexpected(where, "number or duration")

    def _function(self, name: str, where: str) -> Duration:
        token = self.next()
        self._is_expression(token)
        self.want("(", where)
        args: tuple[Duration, ...] = ()
        if name in ("min_of", "max_of"):
            first = self._sum(0, where)
            self.want(",", where)
            args = (first, self._sum(0, where))
        close = self.want(")", where)
        return _folded(Duration(token.start, close.end, name, args, of_query=not args))

    def _is_expression(self, token: Token) -> None:
        if not self._experimental:
            self.fail("experimental duration expression is not enabled", token.start)


def _folded(duration: Duration) -> Duration:
    """Work out what is the same for every query."""
    if duration.of_query or any(arg.of_query for arg in duration.args):
        return replace(duration, of_query=True)
    return replace(duration, seconds=_seconds(duration, {}))


_OPERATORS: Mapping[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "%": math.fmod,
    "^": lambda a, b: float(a**b),
    "min_of": min,
    "max_of": max,
}


def _seconds(duration: Duration, known: Mapping[str, float]) -> float:
    """Work out a duration.

    known   what step and range are, in seconds
    raises  BadQuery
    """
    if not duration.args:
        return known[duration.op] if duration.of_query else duration.seconds
    first = _seconds(duration.args[0], known)
    if duration.op in ("neg", "pos", "paren"):
        return -first if duration.op == "neg" else first
    second = _seconds(duration.args[1], known)
    if second == 0 and duration.op in ("/", "%"):
        problem = "division by zero" if duration.op == "/" else "modulo by zero"
        raise BadQuery(f"{duration.start}:{duration.end}: {problem}")
    try:
        return _OPERATORS[duration.op](first, second)
    except (OverflowError, ZeroDivisionError):
        return math.inf


def _ms(duration: Duration, known: Mapping[str, float] | None = None) -> int:
    seconds = _seconds(duration, known) if known is not None else duration.seconds
    if not abs(seconds) < _SECONDS_MAX:
        raise BadQuery(f"{duration.start}:{duration.end}: duration is out of range")
    return round(seconds * 1000)


def written(duration: int | Duration) -> str:
    """Write a duration as PromQL."""
    if isinstance(duration, int):
        return format_duration(duration)
    if duration.op == "number":
        return go_general(duration.seconds)
    if duration.op == "duration":
        return format_duration(round(duration.seconds * 1000))
    parts = [written(arg) for arg in duration.args]
    if duration.op in ("neg", "pos"):
        return ("-" if duration.op == "neg" else "+") + parts[0]
    if duration.op == "paren":
        return f"({parts[0]})"
    if duration.op in _POWER:
        return f"{parts[0]} {duration.op} {parts[1]}"
    return f"{duration.op}({', '.join(parts)})"


# -- when the query runs


def of_query(expr: Expr) -> bool:
    """Say whether an expression depends on the query's own start, end or step."""
    if isinstance(expr, Call) and expr.name in OF_QUERY:
        return True
    held = (getattr(expr, name, None) for name in ("offset_ms", "range_ms", "step_ms"))
    return any(isinstance(one, Duration) for one in held) or any(of_query(child) for child in expr.children)


_fixed: dict[int, tuple[Expr, bool]] = {}  # the expression is held, so that its id stays its own
_FIXED_MAX = 4096


def _is_fixed(expr: Expr) -> bool:
    """Say whether an expression means the same in every query; found out once for one that is parsed once."""
    known = _fixed.get(id(expr))
    if known is None or known[0] is not expr:
        if len(_fixed) >= _FIXED_MAX:
            _fixed.clear()
        known = _fixed[id(expr)] = expr, not of_query(expr)
    return known[1]


def settled(expr: Expr, start_ms: int, end_ms: int, step_ms: int) -> Expr:
    """Give an expression in which everything that depends on the query is a number.

    raises  BadQuery for a range that is not positive
    """
    if _is_fixed(expr):
        return expr
    seconds = {
        "step": step_ms / 1000,
        "range": (end_ms - start_ms) / 1000,
        "start": start_ms / 1000,
        "end": end_ms / 1000,
    }
    return _settled(expr, seconds)


def _settled(expr: Expr, known: Mapping[str, float]) -> Expr:
    def length(duration: int | Duration, *, positive: bool = True) -> int:
        if isinstance(duration, int):
            return duration
        found = _ms(duration, known)
        if positive and found <= 0:
            raise BadQuery(f"{duration.start}:{duration.end}: duration must be greater than 0")
        return found

    def inner(one: Expr) -> Expr:
        return _settled(one, known)

    if isinstance(expr, Call) and expr.name in OF_QUERY:
        return NumberLiteral(expr.start, expr.end, known[expr.name])
    if isinstance(expr, VectorSelector):
        return replace(expr, offset_ms=length(expr.offset_ms, positive=False))
    if isinstance(expr, MatrixSelector):
        vector = inner(expr.vector)
        assert isinstance(vector, VectorSelector)
        return replace(expr, vector=vector, range_ms=length(expr.range_ms))
    if isinstance(expr, Subquery):
        step_ms = length(expr.step_ms) if expr.step_ms else 0
        offset_ms = length(expr.offset_ms, positive=False)
        return replace(
            expr, expr=inner(expr.expr), range_ms=length(expr.range_ms), step_ms=step_ms, offset_ms=offset_ms
        )
    if isinstance(expr, Paren | Unary):
        return replace(expr, expr=inner(expr.expr))
    if isinstance(expr, Binary):
        return replace(expr, lhs=inner(expr.lhs), rhs=inner(expr.rhs))
    if isinstance(expr, Aggregate):
        return replace(expr, expr=inner(expr.expr), param=None if expr.param is None else inner(expr.param))
    if isinstance(expr, Call):
        return replace(expr, args=tuple(map(inner, expr.args)))
    return expr
