import re
from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from watchkeeper.query.logql.sweep import holding, line_filter, matching
from watchkeeper.query.logql.tree import LineFilter

WORDS = st.lists(st.sampled_from(["a", "b", "ab", "\n", " ", "é", "x1", ""]), max_size=6).map("".join)
LINES = st.lists(WORDS, min_size=1, max_size=40)
PATTERNS = st.sampled_from(
    ["a", "a|b", "^a", "b$", "^$", "a.b", "[^a]", r"\s", "a*", "x*", "(?i)AB", r"\bab\b", r"\Aab", r"ab\z", "(?-m:^a)",
     "^ab$", "a[^b]*b", "é", r"\d", "(?s)a.b", "a{2}", "$", "^", "[^x]*1"]
)  # fmt: skip


def swept(lines: Sequence[str], chosen: Sequence[int], sweep: object) -> list[int]:
    raw = [line.encode() for line in lines]
    starts = np.cumsum([0, *(len(line) + 1 for line in raw)]).astype(np.int64)
    text = b"".join(line + b"\n" for line in raw)
    return list(sweep(text, starts, np.array(chosen, np.int64)).tolist()) if chosen else []  # type: ignore[operator]


@settings(max_examples=120, deadline=None)
@given(LINES, WORDS, st.data())
def test_a_substring_is_found_in_the_same_lines_as_by_a_loop(
    lines: list[str], needle: str, data: st.DataObject
) -> None:
    chosen = sorted(data.draw(st.sets(st.integers(0, len(lines) - 1))) or set(range(len(lines))))
    assert swept(lines, chosen, holding(needle.encode())) == [at for at in chosen if needle in lines[at]]


@settings(max_examples=150, deadline=None)
@given(LINES, PATTERNS, st.data())
def test_a_regex_matches_the_same_lines_as_one_by_one(lines: list[str], pattern: str, data: st.DataObject) -> None:
    chosen = sorted(data.draw(st.sets(st.integers(0, len(lines) - 1))) or set(range(len(lines))))
    python = {"(?-m:^a)": "^a", "b$": r"b\Z", "^$": r"^\Z", r"ab\z": r"ab\Z", "^ab$": r"^ab\Z"}.get(pattern, pattern)
    loop = re.compile(python, re.ASCII)  # as in Go, which also takes $ for the end alone
    want = [at for at in chosen if loop.search(lines[at])]
    assert swept(lines, chosen, matching(pattern)) == want


@settings(max_examples=100, deadline=None)
@given(LINES, st.lists(WORDS, min_size=1, max_size=3))
def test_alternatives_and_negation(lines: list[str], needles: list[str]) -> None:
    every = list(range(len(lines)))
    holds = [at for at in every if any(needle in lines[at] for needle in needles)]
    assert swept(lines, every, line_filter(LineFilter("|=", tuple(needles)))) == holds
    assert swept(lines, every, line_filter(LineFilter("!=", tuple(needles)))) == [at for at in every if at not in holds]
