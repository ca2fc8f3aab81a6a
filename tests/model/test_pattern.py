"""Regular expressions from outside."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.model.errors import BadInput
from watchkeeper.model.pattern import compile_pattern


def test_dot_does_not_match_newline_and_search_is_unanchored() -> None:
    assert compile_pattern("a.c").search("xabcx") is not None
    assert compile_pattern("a.c").search("a\nc") is None


def test_exponential_pattern_takes_no_time() -> None:
    started = time.perf_counter()
    assert compile_pattern("(a+)+$").search("a" * 5000 + "b") is None
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize("pattern", ["(", "[", "a{2000}{2000}", "(?P<n", "\\", "(x{1000}){1000}", "a" * 70_000])
def test_bad_or_greedy_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(BadInput, match="cannot compile regular expression"):
        compile_pattern(pattern)


@given(st.text(max_size=30))
def test_any_text_compiles_or_is_refused(pattern: str) -> None:
    try:
        compile_pattern(pattern).search("some text\nof two lines")
    except BadInput as error:
        assert "cannot compile regular expression" in str(error)  # noqa: PT017  # either is good
