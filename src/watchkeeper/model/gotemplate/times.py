"""A moment as templates see it: Go's time.Time, in UTC unless told otherwise, with its layouts for Format."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, ClassVar

from watchkeeper.model.errors import BadInput

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _offset(at: datetime, between: str) -> str:
    minutes = int((at.utcoffset() or timedelta()).total_seconds()) // 60
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}{between}{abs(minutes) % 60:02d}"


# Go's layouts name the parts of Mon Jan 2 15:04:05 MST 2006.
_PARTS: dict[str, Callable[[datetime], str]] = {
    "January": lambda at: f"{at:%B}",
    "Jan": lambda at: f"{at:%b}",
    "Monday": lambda at: f"{at:%A}",
    "Mon": lambda at: f"{at:%a}",
    "MST": lambda at: at.tzname() or "UTC",
    "2006": lambda at: f"{at.year:04d}",
    "-07:00": lambda at: _offset(at, ":"),
    "-0700": lambda at: _offset(at, ""),
    "-07": lambda at: _offset(at, "")[:3],
    "Z07:00": lambda at: _offset(at, ":") if at.utcoffset() else "Z",
    "Z0700": lambda at: _offset(at, "") if at.utcoffset() else "Z",
    "002": lambda at: f"{at:%j}",
    "01": lambda at: f"{at.month:02d}",
    "02": lambda at: f"{at.day:02d}",
    "03": lambda at: f"{(at.hour + 11) % 12 + 1:02d}",
    "04": lambda at: f"{at.minute:02d}",
    "05": lambda at: f"{at.second:02d}",
    "06": lambda at: f"{at.year % 100:02d}",
    "15": lambda at: f"{at.hour:02d}",
    "PM": lambda at: "PM" if at.hour >= 12 else "AM",
    "pm": lambda at: "pm" if at.hour >= 12 else "am",
    "_2": lambda at: f"{at.day:2d}",
    "1": lambda at: str(at.month),
    "2": lambda at: str(at.day),
    "3": lambda at: str((at.hour + 11) % 12 + 1),
    "4": lambda at: str(at.minute),
    "5": lambda at: str(at.second),
}
_LAYOUT = re.compile(r"[.,](?:0+|9+)(?!\d)|" + "|".join(re.escape(part) for part in _PARTS))


class GoTime:
    """A moment; printed as Go prints one: 2026-11-22 03:04:05.678 +0000 UTC.

    time_ms  Unix milliseconds
    raises   BadInput when the year is not between 1 and 9999
    """

    __slots__ = ("_at", "time_ms")
    go_type: ClassVar[str] = "time.Time"

    def __init__(self, time_ms: int, zone: tzinfo = UTC) -> None:
        try:
            self._at = (_EPOCH + timedelta(milliseconds=time_ms)).astimezone(zone)
        except OverflowError:
            raise BadInput(f"cannot show a time: got {time_ms} ms, want a year between 1 and 9999") from None
        self.time_ms = time_ms

    def in_zone(self, zone: tzinfo) -> "GoTime":
        """Give the same moment as clocks elsewhere show it."""
        return GoTime(self.time_ms, zone)

    def format(self, layout: str) -> str:
        """Write the moment in a layout of Go's, such as "Jan 2, 2006 at 3:04pm (MST)"."""
        return _LAYOUT.sub(self._part, layout)

    def _part(self, found: re.Match[str]) -> str:
        text = found.group()
        if text[0] not in ".,":
            return _PARTS[text](self._at)
        digits = f"{self.time_ms % 1000:03d}".ljust(len(text) - 1, "0")[: len(text) - 1]
        if text[1] == "9":
            digits = digits.rstrip("0")
            return text[0] + digits if digits else ""
        return text[0] + digits

    def __str__(self) -> str:
        return self.format("2006-01-02 15:04:05.999999999 -0700 MST")

    go_methods: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "Format": lambda self, layout: self.format(layout),
        "String": str,
        "UTC": lambda self: self.in_zone(UTC),
        "Unix": lambda self: self.time_ms // 1000,
        "UnixMilli": lambda self: self.time_ms,
        "Year": lambda self: self._at.year,
        "Month": lambda self: f"{self._at:%B}",
        "Day": lambda self: self._at.day,
        "Hour": lambda self: self._at.hour,
        "Minute": lambda self: self._at.minute,
        "Second": lambda self: self._at.second,
        "Weekday": lambda self: f"{self._at:%A}",
    }
