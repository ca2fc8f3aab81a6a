from datetime import UTC, datetime

import pytest

from watchkeeper.model.document import parse
from watchkeeper.notify.mute import MuteTimes, NamedIntervals, TimeInterval


def holds(interval: str, when: str) -> bool:
    time_ms = round(datetime.fromisoformat(when).replace(tzinfo=UTC).timestamp() * 1000)
    return parse(interval, "i").read_as(TimeInterval).contains(time_ms)


@pytest.mark.parametrize(
    ("interval", "when", "want"),
    [
        ("{}", "2026-11-22T12:00", True),
        ("times: [{start_time: '09:00', end_time: '17:00'}]", "2026-11-22T09:00", True),
        ("times: [{start_time: '09:00', end_time: '17:00'}]", "2026-11-22T16:59:59", True),
        ("times: [{start_time: '09:00', end_time: '17:00'}]", "2026-11-22T17:00", False),
        ("times: [{start_time: '22:00', end_time: '24:00'}]", "2026-11-22T23:59:59", True),
        ("weekdays: [sunday]", "2026-11-22T12:00", True),
        ("weekdays: ['monday:friday']", "2026-11-22T12:00", False),
        ("weekdays: ['Monday:FRIDAY', saturday]", "2026-11-21T12:00", True),
        ("days_of_month: ['-1']", "2026-02-28T12:00", True),
        ("days_of_month: ['-1']", "2028-02-28T12:00", False),
        ("days_of_month: ['25:-1']", "2026-11-30T12:00", True),
        ("days_of_month: ['31']", "2026-11-30T12:00", False),
        ("days_of_month: ['30:31']", "2026-11-30T12:00", True),
        ("days_of_month: ['-3:-1']", "2026-11-27T12:00", False),
        ("months: ['november']", "2026-11-22T12:00", True),
        ("months: ['1:3', december]", "2026-11-22T12:00", False),
        ("years: ['2020:2026']", "2026-11-22T12:00", True),
        ("years: ['2027']", "2026-11-22T12:00", False),
        ("{times: [{start_time: '01:00', end_time: '02:00'}], location: Europe/Berlin}", "2026-07-01T23:30", True),
        ("{weekdays: [monday], location: Pacific/Auckland}", "2026-11-22T12:00", True),
    ],
)
def test_intervals(interval: str, when: str, want: bool) -> None:
    assert holds(interval, when) is want


def test_names_those_that_hold() -> None:
    named = [
        NamedIntervals(name="always", time_intervals=(TimeInterval(),)),
        NamedIntervals(name="never", time_intervals=()),
    ]
    assert MuteTimes(named).current(["never", "always"], 0) == ["always"]
