"""Moments that come again, over the days on which clocks are set."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchkeeper.model.document import parse
from watchkeeper.model.errors import BadConfigs
from watchkeeper.notify.schedule import Schedule


def schedule(text: str) -> Schedule:
    return parse(text, "s.yml").read_as(Schedule)


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def text(time_ms: int | None) -> str:
    assert time_ms is not None
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%MZ")


@pytest.mark.parametrize(
    ("words", "after", "want"),
    [
        ("at: ['08:00']", "2024-01-10T07:59:59Z", "2024-01-10T08:00Z"),
        ("at: ['08:00']", "2024-01-10T08:00:00Z", "2024-01-11T08:00Z"),
        ("{at: ['22:00', '06:00'], location: Europe/Berlin}", "2024-07-01T04:30:00Z", "2024-07-01T20:00Z"),
        ("{at: ['09:00'], weekdays: ['monday'], location: America/New_York}", "2024-03-08T15:00Z", "2024-03-11T13:00Z"),
        ("{at: ['02:30'], location: Europe/Berlin}", "2024-03-30T12:00Z", "2024-03-31T01:30Z"),  # skipped: 03:30 CEST
        ("{at: ['02:30'], location: Europe/Berlin}", "2024-10-26T12:00Z", "2024-10-27T00:30Z"),  # twice: the first
        ("{at: ['02:30'], location: Europe/Berlin}", "2024-10-27T00:30Z", "2024-10-28T01:30Z"),
        ("{at: ['00:00'], days_of_month: ['-1']}", "2024-02-01T00:00Z", "2024-02-29T00:00Z"),
        ("{at: ['00:00'], days_of_month: ['29'], months: ['february']}", "2021-01-01T00:00Z", "2024-02-29T00:00Z"),
        ("every: 1h", "2024-01-10T07:59:59Z", "2024-01-10T08:00Z"),
        ("{every: 1h, weekdays: ['monday:friday']}", "2024-01-12T23:30Z", "2024-01-15T00:00Z"),
    ],
)  # fmt: skip
def test_the_next_moment(words: str, after: str, want: str) -> None:
    assert text(schedule(words).next_after(ms(after))) == want


def test_what_lasts_by_the_wall_clock_ends_at_the_same_time_of_day() -> None:
    night = schedule("{at: ['22:00'], location: Europe/Berlin}")
    for day, hours in (("2024-03-30", 7), ("2024-10-26", 9), ("2024-06-01", 8)):
        start = night.next_after(ms(f"{day}T12:00Z"))
        assert start is not None
        assert (night.end_of(start, 8 * 3_600_000) - start) == hours * 3_600_000


@given(st.integers(0, 2_000_000_000_000), st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]))
def test_the_next_moment_is_later_and_no_more_than_a_day_off(time_ms: int, zone: str) -> None:
    daily = schedule(f"{{at: ['02:15'], location: {zone}}}")
    found = daily.next_after(time_ms)
    assert found is not None and 0 < found - time_ms <= 25.5 * 3_600_000
    local = datetime.fromtimestamp(found / 1000, ZoneInfo(zone))
    assert (local.hour, local.minute) in {(2, 15), (3, 15), (2, 45)}


@pytest.mark.parametrize("words", ["{}", "{at: ['25:00']}", "{at: ['08:00'], every: 1h}", "every: 1s", "{at: ['8']}"])
def test_what_is_no_schedule(words: str) -> None:
    with pytest.raises(BadConfigs):
        schedule(words)
