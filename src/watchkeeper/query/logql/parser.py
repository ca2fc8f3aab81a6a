"""LogQL from text: recursive descent over tokens, with Loki's words for what is wrong.

source  Loki docs, LogQL; error texts as its own parser's tests have them
"""

from watchkeeper.model.errors import BadInput
from watchkeeper.model.matchers import Matcher
from watchkeeper.query.logql.lexer import parse_error
from watchkeeper.query.logql.reader import TokenReader
from watchkeeper.query.logql.stages import parse_pipeline, parse_unwrap_filters
from watchkeeper.query.logql.tree import (
    Binary,
    Grouping,
    LogQuery,
    MetricQuery,
    Number,
    Query,
    RangeAggregation,
    Unwrap,
    VectorAggregation,
)
from watchkeeper.query.logql.units import duration_ns

RANGE_OPS = frozenset({"rate", "count_over_time", "bytes_rate", "bytes_over_time", "absent_over_time"})
UNWRAPPED_OPS = frozenset(
    f"{op}_over_time" for op in ("sum", "avg", "min", "max", "first", "last", "stddev", "stdvar", "quantile")
)
_GROUPED_OPS = UNWRAPPED_OPS - {"sum_over_time"}
VECTOR_OPS = frozenset({"sum", "avg", "min", "max", "count", "topk", "bottomk", "stddev", "stdvar"})
_COMPARISONS = frozenset({"==", "!=", ">", ">=", "<", "<="})
_STRENGTH_OF_WORDS = {"or": 0, "and": 1, "unless": 1}
_STRENGTH = {**dict.fromkeys(_COMPARISONS, 2), "+": 3, "-": 3, "*": 4, "/": 4, "%": 4, "^": 5}
_NEEDS_MATCHER = (
    "queries require at least one regexp or equality matcher that does not have an empty-compatible value. "
    'For instance, app=~".*" does not meet this requirement, but app=~".+" will'
)


def parse(text: str) -> Query:
    """Parse a query.

    raises  BadQuery with Loki's text; nothing else
    """
    reader = TokenReader(text)
    query = _expression(reader, 0)
    if not reader.at("$end"):
        raise reader.unexpected()
    return query


def parse_selector(text: str, *, may_be_empty: bool = False) -> tuple[Matcher, ...]:
    """Parse a selector alone: {app="api"}.

    raises  BadQuery with Loki's text
    """
    reader = TokenReader(text)
    matchers = _matchers(reader)
    if not reader.at("$end"):
        raise reader.unexpected()
    if not may_be_empty:
        _check_selective(reader, matchers)
    return matchers


def _expression(reader: TokenReader, weakest: int) -> Query:
    """Read an expression of operators that bind at least so strongly (precedence climbing)."""
    with reader.deeper():
        left = _primary(reader)
        while (strength := _STRENGTH.get(reader.peek().kind, _STRENGTH_OF_WORDS.get(_word(reader), -1))) >= weakest:
            op = reader.take_operator()
            returns_bool = op in _COMPARISONS and reader.take_word("bool")
            matching = _matching(reader)
            right = _expression(reader, strength if op == "^" else strength + 1)  # ^ binds to the right
            left = Binary(op, _leg(reader, left, op, "left"), _leg(reader, right, op, "right"), returns_bool, matching)
        return left


def _word(reader: TokenReader) -> str:
    return reader.peek().text if reader.at("IDENTIFIER") else ""


def _leg(reader: TokenReader, query: Query, op: str, side: str) -> MetricQuery:
    if isinstance(query, LogQuery):
        kind = "PipelineExpr" if query.stages else "MatchersExpr"
        raise parse_error(reader.text, f"unexpected type for {side} leg of binary operation ({op}): *syntax.{kind}")
    return query


def _matching(reader: TokenReader) -> Grouping | None:
    for word, without in (("on", False), ("ignoring", True)):
        if reader.at_word(word):
            reader.take()
            grouping = Grouping(_names(reader), without)
            if reader.at_word("group_left") or reader.at_word("group_right"):
                raise parse_error(
                    reader.text, f"{reader.peek().text} is not supported by watchkeeper yet", reader.peek().place
                )
            return grouping
    return None


def _primary(reader: TokenReader) -> Query:
    token = reader.peek()
    if token.kind == "{":
        return _log_query(reader)
    if token.kind == "(":
        return _parenthesised(reader)
    if token.kind in ("NUMBER", "+", "-"):
        return Number(_number(reader))
    if token.kind == "IDENTIFIER" and (token.text in RANGE_OPS or token.text in UNWRAPPED_OPS):
        return _range_aggregation(reader)
    if token.kind == "IDENTIFIER" and token.text in VECTOR_OPS:
        return _vector_aggregation(reader)
    if token.kind == "IDENTIFIER" and token.text == "vector":
        reader.take()
        reader.expect("(")
        value = _number(reader)
        reader.expect(")")
        return Number(value, is_vector=True)
    raise reader.unexpected()


def _parenthesised(reader: TokenReader) -> Query:
    reader.take()
    query = _expression(reader, 0)
    reader.expect(")")
    if isinstance(query, LogQuery) and reader.at_pipeline():
        return LogQuery(query.matchers, query.stages + parse_pipeline(reader))
    return query


def _number(reader: TokenReader) -> float:
    sign = 1.0
    while reader.peek().kind in ("+", "-"):
        sign = -sign if reader.take().kind == "-" else sign
    return sign * float(reader.expect("NUMBER").text)


def _log_query(reader: TokenReader) -> LogQuery:
    matchers = _matchers(reader)
    _check_selective(reader, matchers)
    return LogQuery(matchers, parse_pipeline(reader))


def _matchers(reader: TokenReader) -> tuple[Matcher, ...]:
    reader.expect("{")
    matchers: list[Matcher] = []
    while not reader.at("}"):
        name = reader.expect("IDENTIFIER", "IDENTIFIER or }" if not matchers else "IDENTIFIER")
        op = reader.take()
        if op.kind not in ("=", "!=", "=~", "!~"):
            raise reader.unexpected(op, "!= or !~ or = or =~")
        value = reader.expect("STRING")
        try:
            matchers.append(Matcher(name.text, op.kind, value.text))  # type: ignore[arg-type]
        except BadInput as error:
            raise parse_error(reader.text, str(error), value.place) from error
        if not reader.at(","):
            break
        reader.take()
    if not reader.at("}"):
        raise reader.unexpected(expecting="} or ,")
    reader.take()
    return tuple(matchers)


def _check_selective(reader: TokenReader, matchers: tuple[Matcher, ...]) -> None:
    if all(matcher.matches_empty for matcher in matchers):
        raise parse_error(reader.text, _NEEDS_MATCHER)


def _range_aggregation(reader: TokenReader) -> RangeAggregation:
    op = reader.take()
    grouping = _grouping(reader)
    reader.expect("(")
    parameter = None
    if op.text == "quantile_over_time":
        parameter = _number(reader)
        reader.expect(",")
    query, range_ns, offset_ns, unwrap = _log_range(reader)
    reader.expect(")")
    grouping = grouping or _grouping(reader)
    if unwrap is None and op.text in UNWRAPPED_OPS:
        raise parse_error(reader.text, f"invalid aggregation {op.text} without unwrap")
    if unwrap is not None and op.text not in UNWRAPPED_OPS | {"rate", "absent_over_time"}:
        raise parse_error(reader.text, f"invalid aggregation {op.text} with unwrap")
    if grouping is not None and op.text not in _GROUPED_OPS:
        raise parse_error(reader.text, f"grouping not allowed for {op.text} aggregation")
    return RangeAggregation(op.text, query, range_ns, offset_ns, unwrap, parameter, grouping)


def _log_range(reader: TokenReader) -> tuple[LogQuery, int, int, Unwrap | None]:
    """Read `{…} | … [5m] offset 1h`; the range may stand before or after the pipeline, and parentheses around it."""
    if reader.at("("):
        reader.take()
        with reader.deeper():
            query, unwrap = _unranged(reader)
        reader.expect(")")
        range_ns, offset_ns = _range(reader)
        return query, range_ns, offset_ns, unwrap
    if not reader.at("{"):
        raise reader.unexpected()
    matchers = _matchers(reader)
    _check_selective(reader, matchers)
    if reader.at("RANGE"):
        range_ns, offset_ns = _range(reader)
        query, unwrap = LogQuery(matchers, parse_pipeline(reader)), _unwrap(reader)
        return query, range_ns, offset_ns, unwrap
    query, unwrap = LogQuery(matchers, parse_pipeline(reader)), _unwrap(reader)
    range_ns, offset_ns = _range(reader)
    return query, range_ns, offset_ns, unwrap


def _unranged(reader: TokenReader) -> tuple[LogQuery, Unwrap | None]:
    if reader.at("("):
        reader.take()
        with reader.deeper():
            found = _unranged(reader)
        reader.expect(")")
        return found
    return _log_query(reader), _unwrap(reader)


def _range(reader: TokenReader) -> tuple[int, int]:
    token = reader.take()
    if token.kind != "RANGE":
        raise reader.unexpected(token)
    length = duration_ns(token.text.strip())
    if not length or length < 0:
        raise parse_error(reader.text, f'not a valid duration string: "{token.text.strip()}"', token.place)
    if not reader.at_word("offset"):
        return length, 0
    reader.take()
    sign = 1
    if reader.at("-"):
        reader.take()
        sign = -1
    offset = duration_ns(reader.expect("DURATION").text)
    return length, sign * (offset or 0)


def _unwrap(reader: TokenReader) -> Unwrap | None:
    if not (reader.at("|") and reader.peek(1).text == "unwrap"):
        return None
    reader.take()
    reader.take()
    name = reader.expect("IDENTIFIER").text
    unit = {"duration": "duration", "duration_seconds": "duration", "bytes": "bytes"}.get(name)
    if unit and reader.at("("):
        reader.take()
        name = reader.expect("IDENTIFIER").text
        reader.expect(")")
    else:
        unit = ""
    return Unwrap(name, unit, parse_unwrap_filters(reader))  # type: ignore[arg-type]


def _vector_aggregation(reader: TokenReader) -> VectorAggregation:
    op = reader.take().text
    grouping = _grouping(reader)
    reader.expect("(")
    parameter, given = 0, None
    if reader.at("NUMBER") and reader.peek(1).kind == ",":
        given = reader.take().text
        reader.take()
    if op in ("topk", "bottomk"):
        if given is None:
            if reader.peek().kind == "IDENTIFIER" and reader.peek().text not in RANGE_OPS | VECTOR_OPS | UNWRAPPED_OPS:
                raise reader.unexpected()
            raise parse_error(reader.text, f"parameter required for operation {op}")
        if not given.isdigit() or not 0 < int(given[:12]) <= 1_000_000:
            raise parse_error(reader.text, f"invalid parameter {op}({given},")
        parameter = int(given)
    elif given is not None:
        raise parse_error(reader.text, f"unsupported parameter for operation {op}({given},")
    inner = _expression(reader, 0)
    if isinstance(inner, LogQuery):
        raise reader.unexpected()
    reader.expect(")")
    return VectorAggregation(op, inner, grouping or _grouping(reader) or Grouping(()), parameter)


def _grouping(reader: TokenReader) -> Grouping | None:
    for word in ("by", "without"):
        if reader.at_word(word):
            reader.take()
            return Grouping(_names(reader), word == "without")
    return None


def _names(reader: TokenReader) -> tuple[str, ...]:
    reader.expect("(")
    names: list[str] = []
    while not reader.at(")"):
        names.append(reader.expect("IDENTIFIER").text)
        if not reader.at(","):
            break
        reader.take()
    reader.expect(")", ", or )")
    return tuple(names)
