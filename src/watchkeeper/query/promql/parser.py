"""PromQL text to a tree: recursive descent with binding powers over `lexer`'s tokens, types checked on the way.

source  Prometheus 3.5, promql/parser/generated_parser.y and parse.go (grammar, error texts)
"""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import NoReturn

from watchkeeper.model.duration import parse_duration
from watchkeeper.model.errors import BadInput, BadQuery
from watchkeeper.model.labels import METRIC_NAME
from watchkeeper.model.matchers import Matcher, MatchOp
from watchkeeper.query.promql import check
from watchkeeper.query.promql.ast import (
    Aggregate,
    At,
    Binary,
    Call,
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
from watchkeeper.query.promql.lexer import Token, go_quote, tokenize, unquote
from watchkeeper.query.promql.signatures import EXPERIMENTAL_AGGREGATORS, SIGNATURES

_POWER = {
    "or": 1, "and": 2, "unless": 2,
    "==": 3, "!=": 3, "<": 3, "<=": 3, ">": 3, ">=": 3,
    "+": 4, "-": 4, "*": 5, "/": 5, "%": 5, "atan2": 5, "^": 6,
}  # fmt: skip
_PARAMETER_AGGREGATORS = frozenset({"topk", "bottomk", "quantile", "count_values", "limitk", "limit_ratio"})
_MATCH_OPS = frozenset({"=", "!=", "=~", "!~"})
_DEPTH_MAX = 100


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


class _Parser:
    def __init__(self, text: str, *, experimental: bool) -> None:
        self._text = text
        self._tokens = tokenize(text)
        self._at = 0
        self._depth = 0
        self._experimental = experimental

    # --- tokens ---------------------------------------------------------------------------------------------

    @property
    def _now(self) -> Token:
        return self._tokens[self._at]

    def _next(self) -> Token:
        token = self._tokens[self._at]
        if token.kind == "error":
            self._fail(token.text, token.start)
        if token.kind != "end":
            self._at += 1
        return token

    def _sees(self, *texts: str) -> bool:
        token = self._now
        return token.kind in ("op", "punctuation", "keyword") and token.text.lower() in texts

    def _takes(self, text: str) -> bool:
        if self._sees(text):
            self._at += 1
            return True
        return False

    def _want(self, text: str, where: str, expected: str = "") -> Token:
        if not self._sees(text):
            self._unexpected(where, expected or go_quote(text))
        return self._next()

    def _unexpected(self, where: str = "", expected: str = "") -> NoReturn:
        token = self._now
        if token.kind == "error":
            self._fail(token.text, token.start)
        message = f"unexpected {token.described()}"
        message += f" in {where}" if where else ""
        self._fail(message + (f", expected {expected}" if expected else ""), token.start)

    def _fail(self, message: str, start: int) -> NoReturn:
        before = self._text[:start]
        line = before.count("\n") + 1
        raise BadQuery(f"parse error: {message}", (line, start - before.rfind("\n")))

    def _check(self, fault: check.Fault | None) -> None:
        if fault is not None:
            self._fail(fault.message, fault.start)

    @property
    def _last_end(self) -> int:
        return self._tokens[self._at - 1].end

    # --- entry points ---------------------------------------------------------------------------------------

    def whole(self) -> Expr:
        if self._now.kind == "end":
            self._fail("no expression found in input", 0)
        expr = self._expr(0)
        if self._now.kind != "end":
            self._unexpected()
        return expr

    def selector_alone(self) -> VectorSelector:
        expr = (
            self._primary()
            if self._now.kind in ("identifier", "metric", "aggr", "keyword") or self._sees("{")
            else None
        )
        if self._now.kind != "end" or not isinstance(expr, VectorSelector):
            self._unexpected()
        return expr

    # --- expressions ----------------------------------------------------------------------------------------

    def _expr(self, power: int) -> Expr:
        self._depth += 1
        if self._depth > _DEPTH_MAX:
            self._fail(f"expression nested deeper than {_DEPTH_MAX}", self._now.start)
        left = self._prefix()
        while self._now.kind == "op":
            op = self._now.text.lower()
            binding = _POWER.get(op, 0)
            if binding <= power:
                break
            left = self._binary(left, op, binding)
        self._depth -= 1
        return left

    def _binary(self, left: Expr, op: str, binding: int) -> Expr:
        token = self._next()
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
        return_bool = self._takes("bool")
        if return_bool and op not in check.COMPARISONS:
            self._fail("bool modifier can only be used on comparison operators", self._tokens[self._at - 1].start)
        if not self._sees("on", "ignoring"):
            return return_bool, None
        on = self._next().text.lower() == "on"
        labels = self._grouping()
        card = "many-to-many" if op in check.SET_OPERATORS else "one-to-one"
        include: tuple[str, ...] = ()
        if self._sees("group_left", "group_right"):
            word = self._next()
            if op in check.SET_OPERATORS:
                self._fail(f'no grouping allowed for "{op}" operation', word.start)
            card = "many-to-one" if word.text.lower() == "group_left" else "one-to-many"
            include = self._grouping() if self._sees("(") else ()
        for label in include:
            if on and label in labels:
                self._fail(f"label {go_quote(label)} must not occur in ON and GROUP clause at once", self._now.start)
        return return_bool, Matching(card, labels, on, include)  # type: ignore[arg-type]

    def _prefix(self) -> Expr:
        if not self._sees("+", "-"):
            return self._postfix(self._primary())
        sign = self._next()
        inner = self._expr(_POWER["*"])  # a sign binds weaker than ^ alone
        if isinstance(inner, NumberLiteral):
            value = -inner.value if sign.text == "-" else inner.value
            return NumberLiteral(sign.start, inner.end, value, inner.is_duration)
        self._check(check.unary(inner, sign.start))
        return Unary(sign.start, inner.end, sign.text, inner)

    def _postfix(self, expr: Expr) -> Expr:
        while True:
            if self._sees("["):
                expr = self._range(expr)
            elif self._sees("offset"):
                expr = self._offset(expr)
            elif self._sees("@"):
                expr = self._at_modifier(expr)
            else:
                return expr

    def _range(self, expr: Expr) -> Expr:
        self._next()
        where = "subquery or range selector" if isinstance(expr, VectorSelector) else "subquery selector"
        length = self._positive_duration(where)
        if self._takes(":"):
            step = 0 if self._sees("]") else self._positive_duration("subquery or range selector")
            close = self._want("]", "subquery or range selector", '"]"' if step else 'duration or "]"')
            if expr.type is not Type.VECTOR:
                got = expr.type.documented
                self._fail(f"subquery is only allowed on instant vector, got {got} instead", expr.start)
            return Subquery(expr.start, close.end, expr, length, step)
        close = self._want("]", where, '":" or "]"')
        if not isinstance(expr, VectorSelector):
            self._fail("ranges only allowed for vector selectors", expr.start)
        if expr.offset_ms:
            self._fail("no offset modifiers allowed before range", expr.start)
        if expr.at is not None:
            self._fail("no @ modifiers allowed before range", expr.start)
        return MatrixSelector(expr.start, close.end, expr, length)

    def _positive_duration(self, where: str) -> int:
        start = self._now.start
        if self._now.kind not in ("number", "duration"):
            self._unexpected(where, "duration")
        length = self._duration()
        if length <= 0:
            self._fail("duration must be greater than 0", start)
        return length

    def _duration(self) -> int:
        token = self._next()
        if token.kind == "duration":
            return self._duration_ms(token)
        return round(self._number_value(token) * 1000)

    def _duration_ms(self, token: Token) -> int:
        try:
            return parse_duration(token.text)
        except BadInput as error:
            text = str(error)
            self._fail(
                f"not a valid duration string: {go_quote(token.text)}" if "not a valid" in text else text, token.start
            )

    def _offset(self, expr: Expr) -> Expr:
        self._next()
        negative = False
        if self._sees("+", "-"):
            negative = self._next().text == "-"
        if self._now.kind not in ("number", "duration"):
            self._unexpected("offset", "duration")
        amount = self._duration()
        moved = _with_modifier(expr, end=self._last_end, offset_ms=-amount if negative else amount)
        if moved is None:
            self._fail(
                "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery",
                expr.start,
            )
        if _offset_of(expr):
            self._fail("offset may not be set multiple times", expr.start)
        return moved

    def _at_modifier(self, expr: Expr) -> Expr:
        self._next()
        at: At
        if self._sees("start", "end"):
            at = "start" if self._next().text.lower() == "start" else "end"
            self._want("(", "@")
            self._want(")", "@")
        else:
            negative = self._sees("+", "-") and self._next().text == "-"
            if self._now.kind not in ("number", "duration"):
                self._unexpected("@", "timestamp")
            at = self._timestamp(negative)
        moved = _with_modifier(expr, end=self._last_end, at=at)
        if moved is None:
            self._fail(
                "@ modifier must be preceded by an instant vector selector or range vector selector or a subquery",
                expr.start,
            )
        if _at_of(expr) is not None:
            self._fail("@ <timestamp> may not be set multiple times", expr.start)
        return moved

    def _timestamp(self, negative: bool) -> int:
        token = self._next()
        seconds = self._duration_ms(token) / 1000 if token.kind == "duration" else self._number_value(token)
        seconds = -seconds if negative else seconds
        if not abs(seconds) < (1 << 63) / 1000:  # refuses NaN, too
            self._fail(f"timestamp out of bounds for @ modifier: {seconds:f}", token.start)
        return round(seconds * 1000)

    # --- primaries ------------------------------------------------------------------------------------------

    def _primary(self) -> Expr:
        token = self._now
        if token.kind == "number":
            self._next()
            return NumberLiteral(token.start, token.end, self._number_value(token))
        if token.kind == "duration":
            self._next()
            return NumberLiteral(token.start, token.end, self._duration_ms(token) / 1000, is_duration=True)
        if token.kind == "string":
            self._next()
            return StringLiteral(token.start, token.end, self._string(token))
        if self._takes("("):
            inner = self._expr(0)
            close = self._want(")", "")
            return Paren(token.start, close.end, inner)
        if self._sees("{"):
            return self._selector("", token.start)
        if token.kind not in ("identifier", "metric", "aggr", "keyword", "op"):
            self._unexpected()
        return self._named(token)

    def _named(self, token: Token) -> Expr:
        following = self._tokens[self._at + 1]
        if token.kind == "aggr" and (
            (following.kind == "punctuation" and following.text == "(")
            or (following.kind == "keyword" and following.text.lower() in ("by", "without"))
        ):
            return self._aggregate()
        if token.kind == "identifier" and following.kind == "punctuation" and following.text == "(":
            return self._call()
        if token.kind == "op" and not token.text[0].isalpha():
            self._unexpected()
        if token.kind == "keyword" and token.text.lower() in ("bool", "on", "ignoring", "group_left", "group_right"):
            self._unexpected()
        self._next()
        return self._selector(token.text, token.start)

    def _number_value(self, token: Token) -> float:
        text = token.text.lower()
        try:
            return _go_number(text)
        except ValueError:
            self._fail(
                f"error parsing number: strconv.ParseFloat: parsing {go_quote(token.text)}: invalid syntax", token.start
            )

    def _string(self, token: Token) -> str:
        try:
            return unquote(token.text)
        except ValueError as error:
            self._fail(f"unknown escape sequence {go_quote(chr(92) + str(error))}", token.start)

    def _call(self) -> Call:
        name = self._next()
        signature = SIGNATURES.get(name.text)
        if signature is None:
            self._fail(f"unknown function with name {go_quote(name.text)}", name.start)
        if signature.experimental and not self._experimental:
            self._fail(f'function "{name.text}" is not enabled', name.start)
        args = self._arguments()
        node = Call(name.start, self._last_end, name.text, tuple(args), signature.returns)
        self._check(check.call(node, signature))
        return node

    def _arguments(self) -> list[Expr]:
        self._want("(", "")
        args: list[Expr] = []
        while not self._takes(")"):
            if args:
                self._want(",", "")
                if self._sees(")"):
                    self._fail("trailing commas not allowed in function call args", self._now.start)
            args.append(self._expr(0))
        return args

    def _aggregate(self) -> Aggregate:
        word = self._next()
        op = word.text.lower()
        if op in EXPERIMENTAL_AGGREGATORS and not self._experimental:
            self._fail(
                f"{op}() is experimental and must be enabled with --enable-feature=promql-experimental-functions",
                word.start,
            )
        modifier = self._aggregate_modifier()
        args = self._arguments()
        end = self._last_end
        if modifier is None:
            modifier = self._aggregate_modifier()
            end = self._last_end if modifier is not None else end
        without, grouping = modifier or (False, ())
        wanted = 2 if op in _PARAMETER_AGGREGATORS else 1
        if not args:
            self._fail("no arguments for aggregate expression provided", word.start)
        if len(args) != wanted:
            message = f"wrong number of arguments for aggregate expression provided, expected {wanted}, got {len(args)}"
            self._fail(message, word.start)
        node = Aggregate(word.start, end, op, args[-1], args[0] if wanted == 2 else None, grouping, without)
        self._check(check.aggregate(node))
        return node

    def _aggregate_modifier(self) -> tuple[bool, tuple[str, ...]] | None:
        if not self._sees("by", "without"):
            return None
        without = self._next().text.lower() == "without"
        return without, self._grouping()

    def _grouping(self) -> tuple[str, ...]:
        self._want("(", "grouping opts", '"("')
        labels: list[str] = []
        while not self._takes(")"):
            if labels:
                self._want(",", "grouping opts", '"," or ")"')
                if self._takes(")"):
                    break
            token = self._now
            if token.kind == "string":
                labels.append(self._string(self._next()))
            elif token.kind in ("identifier", "aggr", "keyword", "op", "number") and (
                token.text[0].isalpha() or token.text[0] == "_"
            ):
                labels.append(self._next().text)
            else:
                self._unexpected("grouping opts", "label")
        return tuple(labels)

    # --- selectors ------------------------------------------------------------------------------------------

    def _selector(self, name: str, start: int) -> VectorSelector:
        matchers: list[Matcher] = []
        if self._takes("{"):
            while not self._takes("}"):
                matchers.append(self._matcher())
                if not self._sees(",", "}"):
                    self._unexpected("label matching", '"," or "}"')
                self._takes(",")
        names = [found.value for found in matchers if found.name == METRIC_NAME and found.op == "="]
        if name:
            if any(found.name == METRIC_NAME for found in matchers):
                other = next(found.value for found in matchers if found.name == METRIC_NAME)
                self._fail(f"metric name must not be set twice: {go_quote(name)} or {go_quote(other)}", start)
            matchers.append(Matcher(METRIC_NAME, "=", name))
        elif all(matcher.matches_empty for matcher in matchers):
            self._fail("vector selector must contain at least one non-empty matcher", start)
        return VectorSelector(start, self._last_end, name or (names[0] if len(names) == 1 else ""), tuple(matchers))

    def _matcher(self) -> Matcher:
        token = self._next()
        if token.kind == "string":
            label = self._string(token)
            if self._sees(",", "}"):
                return Matcher(METRIC_NAME, "=", label)
        elif token.kind == "identifier" and ":" not in token.text:
            label = token.text
        else:
            self._at -= token.kind != "end"
            self._unexpected("label matching", 'identifier or "}"')
        if self._now.kind != "op" or self._now.text not in _MATCH_OPS:
            self._unexpected("label matching", "label matching operator")
        op: MatchOp = self._next().text  # type: ignore[assignment]
        if self._now.kind != "string":
            self._unexpected("label matching", "string")
        value = self._next()
        try:
            return Matcher(label, op, self._string(value))
        except BadQuery:
            raise
        except BadInput as error:
            reason = str(error).rsplit(": ", 1)[-1]
            self._fail(f"error parsing regexp: {reason}", token.start)


def _go_number(text: str) -> float:
    """Read a number as Go does: integers with 0x, 0o, 0b or a leading 0 (octal), else a float."""
    bare = text.replace("_", "")
    if text.startswith("0x"):
        return float(int(bare, 16))
    if len(text) > 1 and text[0] == "0" and bare.isdigit() and all(digit in "01234567" for digit in bare):
        return float(int(bare, 8))
    if "_" in text and (text.endswith("_") or "__" in text or not bare.isdigit()):
        raise ValueError(text)
    return float(bare)


def _with_modifier(expr: Expr, end: int, offset_ms: int | None = None, at: At = None) -> Expr | None:
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


def _offset_of(expr: Expr) -> int:
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
