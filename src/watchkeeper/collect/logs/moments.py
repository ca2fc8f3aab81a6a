"""Moments in log lines: RFC 3339, Unix numbers, Go's layouts; giving Unix nanoseconds.

source  Promtail docs, timestamp stage
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from watchkeeper.model.errors import BadInput

_NS = 1_000_000_000
Moment = Callable[[str], int | None]

_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt _](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9})\d*)?\s?([Zz]|[+-]\d\d:?\d\d)?", re.ASCII
)
_NUMBER = re.compile(r"(\d{1,19})(?:\.(\d{1,9})\d*)?", re.ASCII)
_UNIX = {"Unix": _NS, "UnixMs": 1_000_000, "UnixUs": 1_000, "UnixNs": 1}
_NAMED = {
    "ANSIC": "Mon Jan _2 15:04:05 2006",
    "UnixDate": "Mon Jan _2 15:04:05 MST 2006",
    "RubyDate": "Mon Jan 02 15:04:05 -0700 2006",
    "RFC822": "02 Jan 06 15:04 MST",
    "RFC822Z": "02 Jan 06 15:04 -0700",
    "RFC850": "Monday, 02-Jan-06 15:04:05 MST",
    "RFC1123": "Mon, 02 Jan 2006 15:04:05 MST",
    "RFC1123Z": "Mon, 02 Jan 2006 15:04:05 -0700",
}
_LAYOUT_PARTS = {
    "January": "%B", "Jan": "%b", "Monday": "%A", "Mon": "%a", "2006": "%Y", "06": "%y", "01": "%m", "1": "%m",
    "02": "%d", "_2": "%d", "2": "%d", "15": "%H", "03": "%I", "3": "%I", "04": "%M", "4": "%M", "05": "%S", "5": "%S",
    "PM": "%p", "MST": "%Z", "Z0700": "%z", "Z07:00": "%z", "-07:00": "%z", "-0700": "%z", "-07": "%z",
}  # fmt: skip
_LAYOUT = re.compile("|".join(sorted(map(re.escape, _LAYOUT_PARTS), key=len, reverse=True)))
_FRACTION = re.compile(r"[.,](?:0+|9+)")
_DIGITS = re.compile(r"([.,]\d{1,9})\d*")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def rfc3339_ns(text: str) -> int | None:
    """Read RFC 3339 (or nearly: a blank or comma for T or point, no zone for UTC); None when it is none."""
    found = _RFC3339.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second, part, zone = found.groups()
    days = _days(year, month, day)
    if days is None or int(hour) > 23 or int(minute) > 59 or int(second) > 60:
        return None
    seconds = days * 86_400 + int(hour) * 3600 + int(minute) * 60 + int(second) - _zone_s(zone)
    return seconds * _NS + int((part or "0").ljust(9, "0"))


def number_ns(text: str) -> int | None:
    """Read a Unix time, its unit told by its size: seconds, ms, µs or ns; None when it is none."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    whole, part = found.groups()
    unit = _NS if len(whole) <= 11 else 1_000_000 if len(whole) <= 14 else 1_000 if len(whole) <= 17 else 1
    return int(whole) * unit + int((part or "0").ljust(9, "0")) * unit // _NS


def any_moment(text: str) -> int | None:
    """Read a time as programs write it by default: RFC 3339 or a Unix number."""
    found = rfc3339_ns(text)
    return number_ns(text) if found is None else found


def moment_reader(layout: str, location: str = "") -> Moment:
    """Make the function that reads one of Promtail's formats.

    location  a time zone's name, for layouts without one; UTC when empty
    raises    BadInput when the format or the location is unknown
    """
    if layout in ("RFC3339", "RFC3339Nano"):
        return rfc3339_ns
    unit = _UNIX.get(layout)
    if unit is not None:
        return lambda text: _unix(text, unit)
    zone = _zone(location)
    form = _strptime_form(_NAMED.get(layout, layout))
    return lambda text: _by_form(text, form, zone)


@lru_cache(maxsize=1024)
def _days(year: str, month: str, day: str) -> int | None:
    try:
        return (datetime(int(year), int(month), int(day), tzinfo=UTC) - _EPOCH).days
    except ValueError:
        return None


def _zone_s(zone: str | None) -> int:
    if not zone or zone in "Zz":
        return 0
    digits = zone[1:].replace(":", "")
    seconds = int(digits[:2]) * 3600 + int(digits[2:]) * 60
    return -seconds if zone[0] == "-" else seconds


def _unix(text: str, unit: int) -> int | None:
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    return int(found[1]) * unit + int((found[2] or "0").ljust(9, "0")) * unit // _NS


def _zone(location: str) -> tzinfo:
    try:
        return ZoneInfo(location) if location else UTC
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise BadInput(f"cannot read timestamps: got location {location!r}, want a time zone's name") from error


def _strptime_form(layout: str) -> str:
    bare = _FRACTION.sub("", layout).replace("%", "%%")
    form = _LAYOUT.sub(lambda part: _LAYOUT_PARTS[part[0]], bare)
    if form == bare:
        raise BadInput(f"cannot read timestamps: got format {layout!r}, want a name or a Go layout such as 2006-01-02")
    return form


def _by_form(text: str, form: str, zone: tzinfo) -> int | None:
    fraction = _DIGITS.search(text)
    part_ns = int(fraction[1][1:].ljust(9, "0")) if fraction else 0
    bare = text[: fraction.start()] + text[fraction.end() :] if fraction else text
    try:
        moment = datetime.strptime(bare, form)  # noqa: DTZ007 the zone is put in below where the text has none
    except ValueError:
        return None
    if "%Y" not in form and "%y" not in form:
        moment = _nearest_year(moment, zone)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    return (moment - _EPOCH) // timedelta(seconds=1) * _NS + part_ns


def _nearest_year(moment: datetime, zone: tzinfo) -> datetime:
    """Put in this year, or the last one where that would lie in the future (syslog has no year)."""
    now = datetime.now(zone).replace(tzinfo=None)
    this = moment.replace(year=now.year)
    return this.replace(year=now.year - 1) if this > now + timedelta(days=1) else this
