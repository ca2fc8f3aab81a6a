import contextlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchkeeper.model.errors import BadQuery
from watchkeeper.query.logql.parser import parse, parse_selector
from watchkeeper.query.logql.tree import (
    Binary,
    LabelCompare,
    LabelLogic,
    LineFilter,
    LogQuery,
    Number,
    RangeAggregation,
    VectorAggregation,
)
from watchkeeper.query.logql.units import duration_ns, size_bytes

NEEDS_MATCHER = "queries require at least one regexp or equality matcher that does not have an empty-compatible value."

# What Loki's own parser says, as its tests have it.
ERRORS = [
    ('unk({ foo = "bar" }[5m])', "parse error at line 1, col 1: syntax error: unexpected IDENTIFIER"),
    ('rate({ foo = "bar" }[5minutes])', 'parse error at line 1, col 21: not a valid duration string: "5minutes"'),
    ('rate({ foo = "bar" }[5)', "parse error at line 1, col 21: missing closing ']' in duration"),
    ('min({ foo = "bar" }[5m])', "parse error at line 1, col 20: syntax error: unexpected RANGE"),
    ('sum(3 ,count_over_time({ foo = "bar" }[5h]))', "parse error : unsupported parameter for operation sum(3,"),
    ('topk(count_over_time({ foo = "bar" }[5h]))', "parse error : parameter required for operation topk"),
    (
        'bottomk(he,count_over_time({ foo = "bar" }[5h]))',
        "parse error at line 1, col 9: syntax error: unexpected IDENTIFIER",
    ),
    ('bottomk(1.2,count_over_time({ foo = "bar" }[5h]))', "parse error : invalid parameter bottomk(1.2,"),
    ('stddev({ foo = "bar" })', "parse error at line 1, col 23: syntax error: unexpected )"),
    ('{foo="bar}', "parse error at line 1, col 6: literal not terminated"),
    ('{foo="bar"', "parse error at line 1, col 11: syntax error: unexpected $end, expecting } or ,"),
    ('{foo="bar"} |~', "parse error at line 1, col 15: syntax error: unexpected $end, expecting STRING or ip"),
    ('{foo="bar"} "foo"', "parse error at line 1, col 13: syntax error: unexpected STRING"),
    ('{foo="bar"} foo', "parse error at line 1, col 13: syntax error: unexpected IDENTIFIER"),
    (
        '{ foo = "bar" }|logfmt|addr>=ip("1.2.3.4")',
        "parse error at line 1, col 30: syntax error: unexpected ip, expecting BYTES or NUMBER or DURATION",
    ),
    (
        'absent_over_time({ foo = "bar" }[5h]) by (foo)',
        "parse error : grouping not allowed for absent_over_time aggregation",
    ),
    ("", "parse error at line 1, col 1: syntax error: unexpected $end"),
    ("{}", f"parse error : {NEEDS_MATCHER}"),
    ('{app=~".*"}', f"parse error : {NEEDS_MATCHER}"),
    ("\n{", "parse error at line 2, col 2: syntax error: unexpected $end"),
    ('sum_over_time({a="b"}[1m])', "parse error : invalid aggregation sum_over_time without unwrap"),
    (
        'count_over_time({a="b"} | unwrap x [1m])',
        "parse error : invalid aggregation count_over_time with unwrap",
    ),
    ('{a="b"} + 1', "parse error : unexpected type for left leg of binary operation (+): *syntax.MatchersExpr"),
]


@pytest.mark.parametrize(("text", "want"), ERRORS)
def test_errors_are_worded_as_lokis(text: str, want: str) -> None:
    with pytest.raises(BadQuery) as caught:
        parse(text)
    assert str(caught.value).startswith(want)


def test_pipelines_and_filters() -> None:
    query = parse('{app="a", env!~"x|y"} |= "one" or "two" != `three` | json | a="1" or b>2 and c<=5ms, d!=3KB')
    assert isinstance(query, LogQuery)
    assert [str(matcher) for matcher in query.matchers] == ['app="a"', 'env!~"x|y"']
    assert query.stages[:2] == (LineFilter("|=", ("one", "two")), LineFilter("!=", ("three",)))
    logic = query.stages[3]
    assert isinstance(logic, LabelLogic)
    assert logic.op == "or"
    assert logic.left == LabelCompare("a", "=", text="1")
    assert isinstance(logic.right, LabelLogic)
    assert logic.right.right == LabelCompare("d", "!=", number=3000, unit="bytes")


def test_ranges_may_stand_before_or_after_the_pipeline_or_outside_parentheses() -> None:
    want = parse('count_over_time({a="b"} |= "x" [5m])')
    assert parse('count_over_time({a="b"}[5m] |= "x")') == want
    assert parse('count_over_time(({a="b"} |= "x")[5m])') == want
    assert isinstance(want, RangeAggregation)
    assert want.range_ns == 300 * 10**9
    moved = parse('rate({a="b"}[1h30m] offset 5m)')
    assert isinstance(moved, RangeAggregation)
    assert (moved.range_ns, moved.offset_ns) == (5400 * 10**9, 300 * 10**9)


def test_operators_bind_as_in_promql() -> None:
    query = parse("1 + 2 * 3 ^ 2 ^ 0")
    assert isinstance(query, Binary)
    assert query.op == "+"
    assert parse("2 ^ 3 ^ 2") == Binary("^", Number(2), Binary("^", Number(3), Number(2)))
    assert parse("8 - 4 - 2") == Binary("-", Binary("-", Number(8), Number(4)), Number(2))


def test_grouping_may_stand_on_either_side() -> None:
    before = parse('sum by (x, y) (rate({a="b"}[1m]))')
    assert parse('sum(rate({a="b"}[1m])) by (x, y)') == before
    assert isinstance(before, VectorAggregation)


@pytest.mark.parametrize(
    "text",
    ["(" * 100_000, "1" + "+1" * 50_000, "-" * 100_000 + "1", '{a="b"}' + '|= "x"' * 10_000, '{a="b"}|' + "(" * 9_000,
     "{a=~`" + "(a|" * 20_000, "sum(" * 20_000, '{a="b"} | json ' + "a," * 40_000, "{" + 'a="b",' * 15_000 + "}"],
)  # fmt: skip
def test_what_is_made_to_hurt_is_refused_quickly(text: str) -> None:
    began = time.process_time()
    with contextlib.suppress(BadQuery):
        parse(text)
    assert time.process_time() - began < 0.5


@settings(max_examples=120, deadline=None)
@given(st.text(alphabet='{}()[]|=~!"`,.5msb json rate sum by offset and or #\\\n+-*/', max_size=60))
def test_nothing_but_the_declared_error_comes_out(text: str) -> None:
    for start in ("", '{a="b"} ', "sum(", '{a="b"} | json | '):
        with contextlib.suppress(BadQuery):
            parse(start + text)


def test_selectors_alone() -> None:
    assert [m.value for m in parse_selector('{a="b"}')] == ["b"]
    assert parse_selector("{}", may_be_empty=True) == ()
    with pytest.raises(BadQuery):
        parse_selector('{a="b"} |= "x"')


def test_units() -> None:
    assert duration_ns("1h30m") == 5400 * 10**9
    assert duration_ns("1.5s") == 1_500_000_000
    assert duration_ns("250us") == 250_000
    assert duration_ns("x") is None
    assert duration_ns("") is None
    assert size_bytes("5KB") == 5000
    assert size_bytes("1.5MiB") == 1.5 * 2**20
    assert size_bytes("12 furlongs") is None
