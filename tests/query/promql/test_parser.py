"""The parser: trees, Prometheus' error texts with line and column, printing back, limits."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.model.errors import BadQuery
from watchkeeper.query.promql.ast import Binary, MatrixSelector, NumberLiteral, Subquery, Unary, VectorSelector
from watchkeeper.query.promql.parser import parse, selectors
from watchkeeper.query.promql.printer import pretty, text, tree

WRONG_NUMBER = "wrong number of arguments for aggregate expression provided"
EXPRESSIONS = [
    line for line in (Path(__file__).parent / "expressions.txt").read_text().splitlines() if line and line[0] != "#"
]


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("", "1:1: parse error: no expression found in input"),
        ("sum(", "1:5: parse error: unclosed left parenthesis"),
        ("up)", "1:4: parse error: unexpected right parenthesis ')'"),
        ("foo bar", '1:5: parse error: unexpected identifier "bar"'),
        ("up{job=}", '1:8: parse error: unexpected "}" in label matching, expected string'),
        ("up\n  [5m", "2:6: parse error: unclosed left bracket"),
        ("rate(up)", '1:6: parse error: expected type range vector in call to function "rate", got instant vector'),
        ("1 == 1", "1:3: parse error: comparisons between scalars must use BOOL modifier"),
        ("{}", "1:1: parse error: vector selector must contain at least one non-empty matcher"),
        ("abs()", '1:1: parse error: expected 1 argument(s) in call to "abs", got 0'),
        ("abs(up,)", "1:7: parse error: trailing commas not allowed in function call args"),
        ("x(up)", '1:1: parse error: unknown function with name "x"'),
        ("up offset 5m offset 5m", "1:1: parse error: offset may not be set multiple times"),
        ("up[0s]", "1:4: parse error: duration must be greater than 0"),
        ("up[5m][5m]", "1:7: parse error: ranges only allowed for vector selectors"),
        ("1 and up", '1:1: parse error: set operator "and" not allowed in binary scalar expression'),
        ("up and on(job) group_left up", '1:1: parse error: no grouping allowed for "and" operation'),
        ('up{job=~"("}', "1:4: parse error: error parsing regexp: missing closing ): `(`"),
        ("topk(up)", f"1:1: parse error: {WRONG_NUMBER}, expected 2, got 1"),
        ("$", "1:1: parse error: unexpected character: '$'"),
    ],
)  # fmt: skip
def test_faults_are_told_as_prometheus_does(query: str, fault: str) -> None:
    with pytest.raises(BadQuery) as caught:
        parse(query)
    assert str(caught.value) == fault


def test_powers_group_from_the_right_and_signs_bind_weaker() -> None:
    expr = parse("-2 ^ 3 ^ x")
    assert isinstance(expr, Unary)
    assert text(expr) == "-2 ^ 3 ^ x"
    assert isinstance(expr.expr, Binary)
    assert isinstance(expr.expr.lhs, NumberLiteral)


@pytest.mark.parametrize(
    ("query", "value"),
    [("0x1F", 31), ("1_000", 1000), ("010", 8), ("1e3", 1000), (".5", 0.5), ("5.", 5), ("1h30m", 5400), ("-5", -5)],
)
def test_numbers(query: str, value: float) -> None:
    expr = parse(query)
    assert isinstance(expr, NumberLiteral)
    assert expr.value == value


def test_selectors_of_all_kinds() -> None:
    expr = parse('sum_over_time({"my.metric", \'a b\'!~"x|y"}[1h:5m] @ start() offset -1h30m)').children[0]
    assert isinstance(expr, Subquery)
    assert (expr.range_ms, expr.step_ms, expr.offset_ms, expr.at) == (3_600_000, 300_000, -5_400_000, "start")
    inner = expr.expr
    assert isinstance(inner, VectorSelector)
    assert [str(matcher) for matcher in inner.matchers] == ['__name__="my.metric"', 'a b!~"x|y"']
    ranged = parse("up[5m] @ 1.5 offset 10")
    assert isinstance(ranged, MatrixSelector)
    assert (ranged.vector.at, ranged.vector.offset_ms) == (1500, 10_000)


def test_words_of_the_language_may_name_metrics_and_labels() -> None:
    expr = parse("sum by (by, on, sum) (offset{by='a'} + start)")
    assert text(expr) == 'sum by (by, on, sum) (offset{by="a"} + start)'


def test_escapes_and_comments() -> None:
    expr = parse('# first\n up{a="\\x41\\u00e4\\n", b=`\\n`} # last')
    assert isinstance(expr, VectorSelector)
    assert [matcher.value for matcher in expr.matchers[:2]] == ["Aä\n", "\\n"]


def test_a_series_selector_alone() -> None:
    assert [str(matcher) for matcher in selectors('up{job="a"}')] == ['job="a"', '__name__="up"']
    for wrong in ("rate(up[5m])", "up offset 5m", "1", "up + up", ""):
        with pytest.raises(BadQuery):
            selectors(wrong)


@pytest.mark.parametrize("query", EXPRESSIONS)
def test_printing_keeps_the_meaning(query: str) -> None:
    try:
        expr = parse(query)
    except BadQuery:
        return
    assert text(parse(text(expr))) == text(parse(pretty(expr))) == text(expr)
    assert tree(expr)["type"] == tree(parse(text(expr)))["type"]


@pytest.mark.parametrize("query", ["(" * 5000 + "1" + ")" * 5000, "-" * 5000 + "1", "sum(" * 3000 + "up" + ")" * 3000])
def test_deep_nesting_is_refused(query: str) -> None:
    with pytest.raises(BadQuery, match="nested deeper"):
        parse(query)


@given(st.text(alphabet="up{}[]()\"'`\\=~!<>+-*/%^@:,.0159amshx_ #\n$", max_size=40))
def test_any_text_gives_a_tree_or_a_fault_with_its_place(query: str) -> None:
    fault = _fault(query)
    assert fault is None or fault.position is not None


def _fault(query: str) -> BadQuery | None:
    try:
        parse(query)
    except BadQuery as fault:
        return fault
    return None


def test_a_usual_query_takes_less_than_half_a_millisecond() -> None:
    query = 'sum by (job) (rate(requests_total{code=~"5.."}[5m])) / on(job) sum by (job) (rate(requests_total[5m]))'
    best = min(_seconds(query) for _ in range(20))
    assert best < 0.5e-3


def _seconds(query: str) -> float:
    began = time.process_time_ns()
    for _ in range(5):
        parse.__wrapped__(query)
    return (time.process_time_ns() - began) / 5e9
