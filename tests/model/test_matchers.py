"""Matchers on one label set and on tables."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.model.errors import BadInput
from watchkeeper.model.labels import LabelTable, Symbols
from watchkeeper.model.matchers import Matcher, match_all, match_table

VALUES = st.sampled_from(["", "a", "b", "ab", "a\nb"])
PATTERNS = st.sampled_from(["", "a", "a|b", ".*", ".+", "a.*", "[ab]+", "(?i)A", "b?"])
OPS = st.sampled_from(["=", "!=", "=~", "!~"])
MATCHERS = st.builds(Matcher, st.sampled_from(["x", "y", "z"]), OPS, PATTERNS)


@pytest.mark.parametrize(
    ("op", "value", "text", "matches"),
    [
        ("=", "a", "a", True),
        ("=", "a", "ab", False),
        ("!=", "a", "b", True),
        ("=~", "a|b", "b", True),
        ("=~", "a", "ab", False),
        ("=~", "a|b", "ab", False),
        ("=~", "a.b", "a\nb", True),
        ("!~", "a.*", "b", True),
        ("=~", "", "", True),
        ("=", "", "", True),
        ("=~", "a$", "a\n", False),
    ],
)
def test_verdicts(op: str, value: str, text: str, matches: bool) -> None:
    assert Matcher("x", op, value).test(text) is matches  # type: ignore[arg-type]


@pytest.mark.parametrize("pattern", ["(", "a)(b", "a**", "(?<x>a", "\\1", "(?=a)"])
def test_what_go_would_not_compile_is_refused(pattern: str) -> None:
    with pytest.raises(BadInput, match="cannot compile regular expression") as caught:
        Matcher("x", "=~", pattern)
    assert "(?s:" not in str(caught.value)


def test_absent_label_is_the_empty_text() -> None:
    assert match_all([Matcher("x", "=", ""), Matcher("y", "=~", "b?")], {"y": "b"})
    assert Matcher("x", "!=", "a").matches_empty and not Matcher("x", "=~", ".+").matches_empty


def test_shown_as_in_a_selector() -> None:
    assert str(Matcher("x", "=~", 'a"\\\n')) == 'x=~"a\\"\\\\\\n"'


@given(st.lists(MATCHERS, max_size=3), st.lists(st.dictionaries(st.sampled_from(["x", "y"]), VALUES), max_size=6))
def test_table_gets_the_verdict_of_each_of_its_series(matchers: list[Matcher], rows: list[dict[str, str]]) -> None:
    table = LabelTable.from_labels(rows, Symbols())
    assert match_table(matchers, table).tolist() == [match_all(matchers, row) for row in rows]


@given(PATTERNS, VALUES)
def test_regular_expressions_agree_with_pythons_own_where_both_mean_the_same(pattern: str, text: str) -> None:
    wanted = re.fullmatch(pattern, text, re.DOTALL) is not None
    assert Matcher("x", "=~", pattern).test(text) is wanted
    assert Matcher("x", "!~", pattern).test(text) is not wanted
