"""PromQL text to a tree: recursive descent with binding powers over `lexer`'s tokens, types checked on the way.

source  Prometheus 3.5, promql/parser/generated_parser.y and parse.go (grammar, error texts)
"""

import math
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from watchkeeper.model.errors import BadInput, BadQuery
from watchkeeper.model.labels import METRIC_NAME
from watchkeeper.model.matchers import Matcher, MatchOp
from watchkeeper.query.promql import check
from watchkeeper.query.promql.ast import (
    Aggregate,
    At,
    Binary,
    Call,
    Duration,
    Expr,
    Matching,
    MatrixSelector,
    NumberLiteral,
    Paren,
    StringLiteral,
    Subquery,
    Type,
    Unary,
    VectorSelector,
    unwrapped,
)
from watchkeeper.query.promql.durations import DurationParser
from watchkeeper.query.promql.lexer import Token, go_quote, unquote
from watchkeeper.query.promql.numerals import go_float
from watchkeeper.query.promql.signatures import EXPERIMENTAL_AGGREGATORS, SIGNATURES

_POWER = {
    "or": 1, "and": 2, "unless": 2,
    "==": 3, "!=": 3, "<": 3, "<=": 3, ">": 3, ">=": 3, "</": 3, ">/": 3,
    "+": 4, "-": 4, "*": 5, "/": 5, "%": 5, "atan2": 5, "^": 6,
}  # fmt: skip
_TRIMS = frozenset({"</", ">/"})
_PARAMETER_AGGREGATORS = frozenset({"topk", "bottomk", "quantile", "count_values", "limitk", "limit_ratio"})
_MATCH_OPS = frozenset({"=", "!=", "=~", "!~"})
_FILLS = frozenset({"fill", "fill_left", "fill_right"})
_DEPTH_MAX = 100
_OPERATORS_MAX = 500  # a + b + c + … is a tree as deep as it is long
sys.setrecursionlimit(max(sys.getrecursionlimit(), 6000))  # what walks over such a tree needs some frames a node
_REGEXP_FAULTS = (  # what RE2 says, and what Go says of the same fault
    ("missing )", "missing closing )"),
    ("missing ]", "missing closing ]"),
    ("unexpected )", "unexpected )"),
    ("no argument for repetition", "missing argument to repetition operator"),
    ("bad repetition operator", "invalid nested repetition operator"),
    ("invalid escape", "invalid escape sequence"),
    ("invalid character class", "invalid character class range"),
)


@lru_cache(maxsize=2048)
def parse(text: str, *, experimental: bool = True) -> Expr:
    """Parse and type-check an expression; the trees of the last 2,048 texts are remembered.

    experimental  whether functions that Prometheus keeps behind a flag are known
    raises        BadQuery in Prometheus' words with line and column
    """
    return _Parser(text, experimental=experimental).whole()


def selectors(text: str) -> list[Matcher]:
    """Parse a series selector such as up{job="api"}.

    raises  BadQuery when it is anything else
    """
    parser = _Parser(text, experimental=True)
    selector = parser.selector_alone()
    return list(selector.matchers)


class _Parser(DurationParser):
    def __init__(self, text: str, *, experimental: bool) -> None:
        super().__init__(text, experimental=experimental)
        self._depth = self._operators = 0

    def _check(self, fault: check.Fault | None) -> None:
        if fault is not None:
            self.fail(fault.message, fault.start)

    # --- entry points ---------------------------------------------------------------------------------------

    def whole(self) -> Expr:
        if self.now.kind == "end":
            self.fail("no expression found in input", 0)
        expr = self._expr(0)
        if self.now.kind != "end":
            self.unexpected()
        return expr

    def selector_alone(self) -> VectorSelector:
        called = self.at + 1 < len(self.tokens) and self.tokens[self.at + 1].text == "("
        if called and not self.sees("{"):
            self.at += 1  # what looks like a call is a name that something follows
            self.unexpected()
        expr = (
            self._primary() if self.now.kind in ("identifier", "metric", "aggr", "keyword") or self.sees("{") else None
        )
        if self.now.kind != "end" or not isinstance(expr, VectorSelector):
            self.unexpected()
        return expr

    # --- expressions ----------------------------------------------------------------------------------------

    def _expr(self, power: int) -> Expr:
        self._depth += 1
        if self._depth > _DEPTH_MAX:
            self.fail(f"expression nested deeper than {_DEPTH_MAX}", self.now.start)
        left = self._prefix()
        while self.now.kind == "op":
            op = self.now.text.lower()
            binding = _POWER.get(op, 0)
            if binding <= power:
                break
            left = self._binary(left, op, binding)
        self._depth -= 1
        return left

    def _binary(self, left: Expr, op: str, binding: int) -> Expr:
        token = self.next()
        self._operators += 1
        if self._operators > _OPERATORS_MAX:
            self.fail(f"expression has more than {_OPERATORS_MAX} operators", token.start)
        if op in _TRIMS and not self._experimental:
            self.fail("unexpected <op:/>", token.start + 1)
        return_bool, matching = self._modifiers(op)
        right = self._expr(binding - 1 if op == "^" else binding)  # ^ alone groups from the right
        both = left.type is Type.VECTOR and right.type is Type.VECTOR
        written = matching is not None
        if matching is None and both:
            matching = Matching("many-to-many" if op in check.SET_OPERATORS else "one-to-one")
        node = Binary(left.start, right.end, op, left, right, return_bool, matching if both else None)
        self._check(check.binary(node, matching if written else None, token.start))
        return node

    def _modifiers(self, op: str) -> tuple[bool, Matching | None]:
        return_bool = self.takes("bool")
        matching = self._matching(op) if self.sees("on", "ignoring") else None
        fill = self._fill(op)
        if fill != (None, None):
            matching = replace(matching or Matching("one-to-one"), fill=fill)
        return return_bool, matching

    def _fill(self, op: str) -> tuple[float | None, float | None]:
        """Read fill, fill_left, fill_right: what stands in for missing series."""
        left = right = None
        while (
            self.now.kind == "identifier" and self.now.text.lower() in _FILLS and self.tokens[self.at + 1].text == "("
        ):
            word = self.next()
            if not self._experimental:
                self.fail("binop fill modifiers are experimental and not enabled", word.start)
            if op in check.SET_OPERATORS:
                self.fail("filling in missing series not allowed for set operators", word.start)
            self.next()
            sign = self.next().text if self.sees("+", "-") else "+"
            if self.now.kind not in ("number", "duration"):
                self.unexpected("fill modifier", "number")
            token = self.next()
            value = self._number_value(token) if token.kind == "number" else self._duration_ms(token) / 1000
            self.want(")", "fill modifier")
            value = -value if sign == "-" else value
            side = word.text.lower()
            left = value if side != "fill_right" else left
            right = value if side != "fill_left" else right
        return left, right

    def _matching(self, op: str) -> Matching:
        on = self.next().text.lower() == "on"
        labels = self._grouping()
        card = "many-to-many" if op in check.SET_OPERATORS else "one-to-one"
        include: tuple[str, ...] = ()
        if self.sees("group_left", "group_right"):
            word = self.next()
            card = "many-to-one" if word.text.lower() == "group_left" else "one-to-many"
            include = self._grouping() if self.sees("(") else ()
        return Matching(card, labels, on, include)  # type: ignore[arg-type]

    def _prefix(self) -> Expr:
        if not self.sees("+", "-"):
            return self._postfix(self._primary())
        sign = self.next()
        inner = self._expr(_POWER["*"])  # a sign binds weaker than ^ alone
        if isinstance(inner, NumberLiteral):
            value = -inner.value if sign.text == "-" else inner.value
            return NumberLiteral(sign.start, inner.end, value, inner.is_duration)
        self._check(check.unary(inner, sign.start))
        return Unary(sign.start, inner.end, sign.text, inner)

    def _postfix(self, expr: Expr) -> Expr:
        while True:
            if self.sees("["):
                expr = self._range(expr)
            elif self.sees("offset"):
                expr = self._offset(expr)
            elif self.sees("@"):
                expr = self._at_modifier(expr)
            elif self.now.kind == "identifier" and self.now.text.lower() in ("anchored", "smoothed"):
                expr = self._extended(expr)
            else:
                return expr

    def _range(self, expr: Expr) -> Expr:
        bracket = self.next()
        where = "subquery or range selector" if isinstance(expr, VectorSelector) else "subquery selector"
        length = self._positive_duration(where)
        if self.takes(":"):
            step = 0 if self.sees("]") else self._positive_duration("subquery or range selector")
            close = self.want("]", "subquery or range selector", '"]"' if step else 'duration or "]"')
            if expr.type is not Type.VECTOR:
                got = expr.type.documented
                self.fail(f"subquery is only allowed on instant vector, got {got} instead", expr.start)
            return Subquery(expr.start, close.end, expr, length, step)
        close = self.want("]", where, '":" or "]"')
        if not isinstance(expr, VectorSelector):
            self.fail("ranges only allowed for vector selectors", bracket.start)
        if expr.offset_ms:
            self.fail("no offset modifiers allowed before range", bracket.start)
        if expr.at is not None:
            self.fail("no @ modifiers allowed before range", bracket.start)
        return MatrixSelector(expr.start, close.end, expr, length)

    def _offset(self, expr: Expr) -> Expr:
        self.next()
        amount = self._offset_duration()
        moved = _with_modifier(expr, end=self.last_end, offset_ms=amount)
        if moved is None:
            self.fail(
                "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery",
                expr.start,
            )
        if _offset_of(expr):
            self.fail("offset may not be set multiple times", expr.start)
        return moved

    def _extended(self, expr: Expr) -> Expr:
        word = self.next()
        kind = word.text.lower()
        if not self._experimental:
            self.fail(f"{kind} modifier is experimental and not enabled", word.start)
        target = expr.vector if isinstance(expr, MatrixSelector) else expr
        if not isinstance(target, VectorSelector) or (kind == "anchored" and target is expr):
            wanted = (
                "range vector selector" if kind == "anchored" else "instant vector selector or range vector selector"
            )
            self.fail(f"{kind} modifier must be preceded by a {wanted}", expr.start)
        if target.extended:
            self.fail("anchored and smoothed modifiers may be set once only", word.start)
        changed = replace(target, extended=kind)  # type: ignore[arg-type]
        if isinstance(expr, MatrixSelector):
            return replace(expr, end=self.last_end, vector=changed)
        return replace(changed, end=self.last_end)

    def _at_modifier(self, expr: Expr) -> Expr:
        self.next()
        at: At
        if self.sees("start", "end"):
            at = "start" if self.next().text.lower() == "start" else "end"
            self.want("(", "@")
            self.want(")", "@")
        else:
            negative = self.sees("+", "-") and self.next().text == "-"
            if self.now.kind not in ("number", "duration"):
                self.unexpected("@", "timestamp")
            at = self._timestamp(expr, negative)
        moved = _with_modifier(expr, end=self.last_end, at=at)
        if moved is None:
            self.fail(
                "@ modifier must be preceded by an instant vector selector or range vector selector or a subquery",
                expr.start,
            )
        if _at_of(expr) is not None:
            self.fail("@ <timestamp> may not be set multiple times", expr.start)
        return moved

    def _timestamp(self, expr: Expr, negative: bool) -> int:
        token = self.next()
        seconds = self._duration_ms(token) / 1000 if token.kind == "duration" else self._number_value(token)
        seconds = -seconds if negative else seconds
        if not abs(seconds) < (1 << 63) / 1000:  # refuses NaN, too
            shown = f"{seconds:f}" if math.isfinite(seconds) else go_float(seconds)
            self.fail(f"timestamp out of bounds for @ modifier: {shown}", expr.start)
        return round(seconds * 1000)

    # --- primaries ------------------------------------------------------------------------------------------

    def _primary(self) -> Expr:
        token = self.now
        if token.kind == "number":
            self.next()
            return NumberLiteral(token.start, token.end, self._number_value(token))
        if token.kind == "duration":
            self.next()
            return NumberLiteral(token.start, token.end, self._duration_ms(token) / 1000, is_duration=True)
        if token.kind == "string":
            self.next()
            return StringLiteral(token.start, token.end, self._string(token))
        if self.takes("("):
            inner = self._expr(0)
            close = self.want(")", "")
            return Paren(token.start, close.end, inner)
        if self.sees("{"):
            return self._selector("", token.start)
        if token.kind not in ("identifier", "metric", "aggr", "keyword", "op"):
            self.unexpected()
        return self._named(token)

    def _named(self, token: Token) -> Expr:
        following = self.tokens[self.at + 1]
        if token.kind == "aggr" and (
            (following.kind == "punctuation" and following.text == "(")
            or (following.kind == "keyword" and following.text.lower() in ("by", "without"))
        ):
            return self._aggregate()
        called = following.kind == "punctuation" and following.text == "("
        if called and (token.kind == "identifier" or token.text.lower() in ("start", "end")):
            return self._call()
        if token.kind == "op" and not token.text[0].isalpha():
            self.unexpected()
        if token.kind == "keyword" and token.text.lower() in ("bool", "on", "ignoring", "group_left", "group_right"):
            self.unexpected()
        self.next()
        return self._selector(token.text, token.start)

    def _string(self, token: Token) -> str:
        try:
            return unquote(token.text)
        except ValueError as error:
            self.fail(f"unknown escape sequence {go_quote(chr(92) + str(error))}", token.start)

    def _call(self) -> Call:
        name = self.next()
        signature = SIGNATURES.get(name.text)
        if signature is None:
            self.fail(f"unknown function with name {go_quote(name.text)}", name.start)
        if signature.experimental and not self._experimental:
            self.fail(f'function "{name.text}" is not enabled', name.start)
        args = self._arguments(of_info=name.text == "info")
        node = Call(name.start, self.last_end, name.text, tuple(args), signature.returns)
        self._check(check.call(node, signature))
        return node

    def _arguments(self, *, of_info: bool = False) -> list[Expr]:
        self.want("(", "")
        args: list[Expr] = []
        while not self.takes(")"):
            if args:
                self.want(",", "")
                if self.sees(")"):
                    self.fail("trailing commas not allowed in function call args", self.now.start - 1)
            if of_info and args and self.sees("{"):
                args.append(self._selector("", self.now.start, may_match_all=True))
            else:
                args.append(self._expr(0))
        return args

    def _aggregate(self) -> Aggregate:
        word = self.next()
        op = word.text.lower()
        if op in EXPERIMENTAL_AGGREGATORS and not self._experimental:
            self.fail(
                f"{op}() is experimental and must be enabled with --enable-feature=promql-experimental-functions",
                word.start,
            )
        modifier = self._aggregate_modifier()
        args = self._arguments()
        end = self.last_end
        if modifier is None:
            modifier = self._aggregate_modifier()
            end = self.last_end if modifier is not None else end
        without, grouping = modifier or (False, ())
        wanted = 2 if op in _PARAMETER_AGGREGATORS else 1
        if not args:
            self.fail("no arguments for aggregate expression provided", word.start)
        if len(args) != wanted:
            message = f"wrong number of arguments for aggregate expression provided, expected {wanted}, got {len(args)}"
            self.fail(message, word.start)
        node = Aggregate(word.start, end, op, args[-1], args[0] if wanted == 2 else None, grouping, without)
        self._check(check.aggregate(node))
        return node

    def _aggregate_modifier(self) -> tuple[bool, tuple[str, ...]] | None:
        if not self.sees("by", "without"):
            return None
        without = self.next().text.lower() == "without"
        return without, self._grouping()

    def _grouping(self) -> tuple[str, ...]:
        self.want("(", "grouping opts", '"("')
        labels: list[str] = []
        while not self.takes(")"):
            if labels:
                self.want(",", "grouping opts", '"," or ")"')
                if self.takes(")"):
                    break
            token = self.now
            if token.kind == "string":
                labels.append(self._string(self.next()))
            elif token.kind in ("identifier", "aggr", "keyword", "op", "number") and (
                token.text[0].isalpha() or token.text[0] == "_"
            ):
                labels.append(self.next().text)
            else:
                self.unexpected("grouping opts", "label")
        return tuple(labels)

    # --- selectors ------------------------------------------------------------------------------------------

    def _selector(self, name: str, start: int, *, may_match_all: bool = False) -> VectorSelector:
        matchers: list[Matcher] = []
        if self.takes("{"):
            while not self.takes("}"):
                matchers.append(self._matcher())
                if not self.sees(",", "}"):
                    self.unexpected("label matching", '"," or "}"')
                self.takes(",")
        names = [found.value for found in matchers if found.name == METRIC_NAME and found.op == "="]
        if name:
            if any(found.name == METRIC_NAME for found in matchers):
                other = next(found.value for found in matchers if found.name == METRIC_NAME)
                self.fail(f"metric name must not be set twice: {go_quote(name)} or {go_quote(other)}", start)
            matchers.append(Matcher(METRIC_NAME, "=", name))
        elif not may_match_all and all(matcher.matches_empty for matcher in matchers):
            self.fail("vector selector must contain at least one non-empty matcher", start)
        return VectorSelector(start, self.last_end, name or (names[0] if len(names) == 1 else ""), tuple(matchers))

    def _matcher(self) -> Matcher:
        token = self.next()
        if token.kind == "string":
            label = self._string(token)
            if self.sees(",", "}"):
                return Matcher(METRIC_NAME, "=", label)
        elif token.kind == "identifier" and ":" not in token.text:
            label = token.text
        else:
            self.at -= token.kind != "end"
            self.unexpected("label matching", 'identifier or "}"')
        if self.now.kind != "op" or self.now.text not in _MATCH_OPS:
            self.unexpected("label matching", "label matching operator")
        op: MatchOp = self.next().text  # type: ignore[assignment]
        if self.now.kind != "string":
            self.unexpected("label matching", "string")
        value = self.next()
        try:
            return Matcher(label, op, self._string(value))
        except BadQuery:
            raise
        except BadInput as error:
            reason = next((go for re2, go in _REGEXP_FAULTS if re2 in str(error)), "invalid regular expression")
            self.fail(f"error parsing regexp: {reason}: `{self._string(value)}`", token.start)


def _with_modifier(expr: Expr, end: int, offset_ms: int | Duration | None = None, at: At = None) -> Expr | None:
    change: dict[str, object] = {"end": end}
    if offset_ms is not None:
        change["offset_ms"] = offset_ms
    if at is not None:
        change["at"] = at
    if isinstance(expr, MatrixSelector):
        return replace(expr, end=end, vector=replace(expr.vector, **{**change, "end": expr.vector.end}))  # type: ignore[arg-type]
    if isinstance(expr, VectorSelector | Subquery):
        return replace(expr, **change)  # type: ignore[arg-type]
    return None


def _offset_of(expr: Expr) -> int | Duration:
    target = expr.vector if isinstance(expr, MatrixSelector) else expr
    return target.offset_ms if isinstance(target, VectorSelector | Subquery) else 0


def _at_of(expr: Expr) -> At:
    target = expr.vector if isinstance(expr, MatrixSelector) else expr
    return target.at if isinstance(target, VectorSelector | Subquery) else None


def walk(expr: Expr, visit: Callable[[Expr], None]) -> None:
    """Show every node to `visit`, parents first."""
    visit(expr)
    for child in expr.children:
        walk(child, visit)


__all__ = ["parse", "selectors", "unwrapped", "walk"]
