"""Time intervals: when a route is muted or active.

source  github.com/prometheus/alertmanager, timeinterval; Alertmanager docs, Configuration, time_interval
"""

import re
from calendar import monthrange
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, PlainValidator

from watchkeeper.model.document import Settings, setting
from watchkeeper.model.fields import Several, Text

_WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_MONTHS = (
    "january february march april may june july august september october november december".split()  # noqa: SIM905 — reads better
)
_CLOCK = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00", re.ASCII)
_NUMBER = re.compile(r"[+-]?[0-9]{1,9}", re.ASCII)
Range = tuple[int, int]


class TimeRange(Settings):
    """Minutes of a day, the end not included."""

    start_time: Text = setting("", "HH:MM, 24 hours.")
    end_time: Text = setting("", "HH:MM; 24:00 is the end of the day.")

    def minutes(self) -> Range:
        """Give first and last+1 minute of the day."""
        return _minute(self.start_time), _minute(self.end_time)


def _checked_times(times: TimeRange) -> TimeRange:
    if not times.start_time or not times.end_time:
        raise ValueError("both start and end times must be provided")
    start, end = times.minutes()
    if start >= end:
        raise ValueError("start time cannot be equal or greater than end time")
    return times


def _minute(text: str) -> int:
    if _CLOCK.fullmatch(text) is None:
        raise ValueError(f"couldn't parse timestamp {text}, invalid format")
    return int(text[:2]) * 60 + int(text[3:])


def _range(text: Any, member: Callable[[str], int]) -> Range:
    if isinstance(text, tuple):
        return text
    if not isinstance(text, str):
        raise ValueError("a range such as first:last")  # noqa: TRY004 — pydantic collects ValueError
    parts = text.lower().split(":")
    if len(parts) > 2:
        raise ValueError(f"too many colons in range {text}")
    return member(parts[0]), member(parts[-1])


def _number(text: str) -> int:
    if _NUMBER.fullmatch(text) is None:
        raise ValueError(f"{text!r} is no number")
    return int(text)


def _month(text: str) -> int:
    return _MONTHS.index(text) + 1 if text in _MONTHS else _number(text)


def _weekday(text: str) -> int:
    if text not in _WEEKDAYS:
        raise ValueError(f"{text} is not a valid weekday")
    return _WEEKDAYS.index(text)


def _weekdays(text: Any) -> Range:
    first, last = _range(text, _weekday)
    if first > last:
        raise ValueError("start day cannot be before end day")
    return first, last


def _days(text: Any) -> Range:
    first, last = _range(text, _number)
    for day in (first, last):
        if day == 0 or abs(day) > 31:
            raise ValueError(f"{day} is not a valid day of the month: out of range")
    if first < 0 < last:
        raise ValueError("end day must be negative if start day is negative")
    shortest = [28 + day if day < 0 else day for day in (first, last)]
    if shortest[0] > shortest[1]:
        raise ValueError(f"end day {last} is always before start day {first}")
    return first, last


def _months(text: Any) -> Range:
    first, last = _range(text, _month)  # upstream takes a 13th month, too: it never comes
    if first > last:
        raise ValueError(f"end month {last} is before start month {first}")
    return first, last


def _years(text: Any) -> Range:
    first, last = _range(text, _number)
    if first > last:
        raise ValueError(f"end year {last} is before start year {first}")
    return first, last


def _zone(text: str) -> str:
    if text not in ("", "Local"):
        try:
            ZoneInfo(text)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"unknown time zone {text}") from None
    return text


def shown_range(span: Range, name: Callable[[int], str] = str) -> str:
    """Write a range as first:last, or as one value."""
    first, last = span
    return name(first) if first == last else f"{name(first)}:{name(last)}"


_Weekdays = Annotated[
    Range, PlainValidator(_weekdays), PlainSerializer(partial(shown_range, name=_WEEKDAYS.__getitem__))
]
_Days = Annotated[Range, PlainValidator(_days), PlainSerializer(shown_range)]
_Months = Annotated[Range, PlainValidator(_months), PlainSerializer(shown_range)]
_Years = Annotated[Range, PlainValidator(_years), PlainSerializer(shown_range)]
_Times = Annotated[TimeRange, AfterValidator(_checked_times)]


class TimeInterval(Settings):
    """A moment is inside when every field that is given has a range around it."""

    times: Several[_Times] = setting((), "Times of day.")
    weekdays: Several[_Weekdays] = setting((), "Days of the week, such as monday:friday.")
    days_of_month: Several[_Days] = setting((), "Days of the month; -1 is its last.")
    months: Several[_Months] = setting((), "Months, by name or number.")
    years: Several[_Years] = setting((), "Years.")
    location: Annotated[Text, AfterValidator(_zone)] = setting("", "Time zone, such as Europe/Berlin; UTC by default.")

    def contains(self, time_ms: int) -> bool:
        """Say whether a moment is inside."""
        when = datetime.fromtimestamp(time_ms / 1000, UTC)
        if self.location == "Local":
            when = when.astimezone()
        elif self.location:
            when = when.astimezone(ZoneInfo(self.location))
        minute = when.hour * 60 + when.minute
        return (
            _inside(minute, ((first, last - 1) for first, last in (one.minutes() for one in self.times)))
            and _inside(when.day, _clamped(self.days_of_month, monthrange(when.year, when.month)[1]))
            and _inside(when.month, self.months)
            and _inside(when.isoweekday() % 7, self.weekdays)
            and _inside(when.year, self.years)
        )


def _inside(value: int, ranges: Iterable[Range]) -> bool:
    spans = list(ranges)
    return not spans or any(first <= value <= last for first, last in spans)


def _clamped(ranges: Sequence[Range], days: int) -> list[Range]:
    out = [(days + first + 1 if first < 0 else first, days + last + 1 if last < 0 else last) for first, last in ranges]
    kept = [(max(first, -days), min(last, days)) for first, last in out if first <= days]
    return kept if kept or not ranges else [(1, 0)]  # every range begins after this month's end: nothing is inside


def _named(name: str) -> str:
    if not name:
        raise ValueError("missing name in time interval")
    return name


class NamedIntervals(Settings):
    """Intervals that routes refer to."""

    name: Annotated[str, BeforeValidator(lambda name: name or ""), AfterValidator(_named)] = setting(
        "", "Their name.", validate_default=True
    )
    time_intervals: Several[TimeInterval] = setting((), "A moment inside any of them is inside.")


class MuteTimes:
    """Answers which of the named intervals hold at a moment."""

    def __init__(self, named: Iterable[NamedIntervals]) -> None:
        self._intervals: Mapping[str, Sequence[TimeInterval]] = {one.name: one.time_intervals for one in named}

    def current(self, names: Iterable[str], time_ms: int) -> list[str]:
        """Give those of the names whose intervals contain the moment."""
        return [name for name in names if any(one.contains(time_ms) for one in self._intervals[name])]
