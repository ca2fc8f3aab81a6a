"""Durations as Prometheus writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.model.duration import format_duration, parse_duration
from watchkeeper.model.errors import BadInput


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("324ms", 324),
        ("3s", 3000),
        ("5m", 300_000),
        ("1h", 3_600_000),
        ("4d", 345_600_000),
        ("4d1h", 349_200_000),
        ("3w", 1_814_400_000),
        ("10y", 315_360_000_000),
        ("1h30m15s5ms", 5_415_005),
    ],
)
def test_reading(text: str, milliseconds: int) -> None:
    assert parse_duration(text) == milliseconds


@pytest.mark.parametrize("text", ["", "1", "1y1m1d", "-1w", "1.5d", "d", "5m 3s", "s5", "1S", "٣m", "1m1m", " 1m"])
def test_what_is_no_duration_is_refused_in_prometheus_words(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_duration(text)
    assert str(caught.value) == f'not a valid duration string: "{text}"'


@pytest.mark.parametrize("text", ["300y", "99999999999999999999h", "9" * 5000 + "s"])
def test_too_long_for_go_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="duration out of range"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0s"),
        (5_400_000, "1h30m"),
        (604_800_000, "1w"),
        (7_776_000_000, "90d"),
        (31_536_000_000, "1y"),
        (-60_000, "-1m"),
        (1, "1ms"),
    ],
)
def test_writing(milliseconds: int, text: str) -> None:
    assert format_duration(milliseconds) == text


@given(st.integers(0, 9_000_000_000_000))
def test_what_is_written_reads_back(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds)) == milliseconds
