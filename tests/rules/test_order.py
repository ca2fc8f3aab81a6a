"""When groups are due, and how they are cut into stages."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.rules.order import evaluation_time, next_evaluation, spread_ms, stages, steady_names

INTERVALS = st.integers(1000, 3_600_000)


@dataclass
class Rule:
    expr: str
    writes: tuple[str, ...] = ()


@given(now=st.integers(0, 4_000_000_000_000), interval=INTERVALS, offset=st.integers(0, 3_600_000))
def test_group_is_due_once_in_each_interval_at_its_own_place(now: int, interval: int, offset: int) -> None:
    offset %= interval
    due = evaluation_time(now, interval, offset)
    assert due % interval == offset and now - interval < due <= now


def test_groups_are_spread_over_the_interval() -> None:
    places = {spread_ms(f"group {number}", "rules.yml", 60_000) // 6000 for number in range(100)}
    assert places == set(range(10))


def test_evaluation_in_time_is_followed_by_the_next() -> None:
    assert next_evaluation(60_000, 60_500, 60_000, 0) == (120_000, 0)


def test_slow_evaluation_misses_some() -> None:
    assert next_evaluation(60_000, 60_000 + 150_000, 60_000, 0) == (180_000, 1)


def test_clock_set_back_makes_the_group_due_soon() -> None:
    due, missed = next_evaluation(7_200_000, 3_600_500, 60_000, 0)
    assert (due, missed) == (3_660_000, 0)


@pytest.mark.parametrize(
    ("rules", "cut"),
    [
        ([], []),
        ([Rule("x", ("a",)), Rule("y", ("b",))], [[0, 1]]),
        ([Rule("x", ("a",)), Rule("sum(a)", ("b",))], [[0], [1]]),
        ([Rule("x", ("a",)), Rule("a", ("b",)), Rule("a", ("c",)), Rule("b", ("d",))], [[0], [1, 2], [3]]),
        ([Rule("x", ("a:b",)), Rule('{__name__=~"a:.*"}', ("c",))], [[0], [1]]),
        ([Rule("x", ("a:b",)), Rule('{job="j"}', ("c",))], [[0], [1]]),
        ([Rule("x", ("a",)), Rule("rate(b[5m] offset 1m)", ("c",))], [[0, 1]]),
        ([Rule("x", ("ALERTS",)), Rule("max_over_time(ALERTS[1h:1m])", ("c",))], [[0], [1]]),
        ([Rule("a", ("a",)), Rule("x", ("b",))], [[0, 1]]),
    ],
)
def test_stage_ends_where_a_rule_reads_what_an_earlier_one_writes(rules: list[Rule], cut: list[list[int]]) -> None:
    assert stages(rules) == cut


@pytest.mark.parametrize(
    ("expr", "names"),
    [
        ("sum(rate(a[5m])) / on (x) b offset 1m", {"a", "b"}),
        ("absent(a) or vector(1)", {"a"}),
        ("1", set()),
        ("time() - a", None),
        ("hour() > 3", None),
        ('{__name__=~"a|b"}', None),
        ('{job="x"}', None),
        ("info(a)", None),
    ],
)
def test_what_a_result_depends_on_besides_the_moment(expr: str, names: set[str] | None) -> None:
    assert steady_names(expr) == names
