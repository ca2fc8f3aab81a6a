"""Parameters of Prometheus' API: times, durations, selectors, with its error texts.

source  Prometheus 3.5, web/api/v1/api.go parseTime, parseDuration
"""

import math
import re
from datetime import UTC, datetime

from watchkeeper.model.duration import parse_duration
from watchkeeper.model.errors import BadInput
from watchkeeper.model.matchers import Matcher
from watchkeeper.net.routing import Call
from watchkeeper.query.promql.parser import selectors

EARLIEST_MS, LATEST_MS = -(1 << 53), 1 << 53
_TIME_MAX_S = 1e13
# What Prometheus takes for the first and the last moment there is.
_EDGES_MS = {"-292273086-05-16T16:47:06Z": EARLIEST_MS, "292277025-08-18T07:12:54.999999999Z": LATEST_MS}
_MATCHES_ALL = "vector selector must contain at least one non-empty matcher"
_NOTHING_NAMED = "match[] must contain at least one non-empty matcher"
_RFC3339 = re.compile(r"(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2}:\d{2})(\.\d+)?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)


def time_ms(call: Call, name: str, default_ms: int | None = None) -> int:
    """Read a moment: Unix seconds or RFC 3339.

    raises  BadInput in Prometheus' words
    """
    text = call.first(name)
    if not text and default_ms is not None:
        return default_ms
    if text in _EDGES_MS:
        return _EDGES_MS[text]
    try:
        seconds = float(text)
    except ValueError:
        seconds = _rfc3339_s(text)
    if not abs(seconds) < _TIME_MAX_S:  # NaN, too
        if math.isfinite(seconds) and default_ms is not None:
            return EARLIEST_MS if seconds < 0 else LATEST_MS  # Grafana and promtool send Go's smallest and largest time
        told = "" if default_ms is None else f"invalid time value for '{name}': "
        raise BadInput(f'invalid parameter "{name}": {told}cannot parse "{text}" to a valid timestamp')
    return round(seconds * 1000)


def _rfc3339_s(text: str) -> float:
    found = _RFC3339.fullmatch(text)
    if found is None:
        return math.nan
    day, clock, part, zone = found.groups()
    zone = "+00:00" if zone in "Zz" else zone
    try:
        whole = datetime.fromisoformat(f"{day}T{clock}{zone}").astimezone(UTC)
    except (ValueError, OverflowError):
        year = int(day[:4])
        return -2 * _TIME_MAX_S if year < 2 else 2 * _TIME_MAX_S if year > 9998 else math.nan
    return whole.timestamp() + float(part or 0)


def duration_ms(call: Call, name: str) -> int | None:
    """Read a duration: seconds or 1h30m; None when it is not given.

    raises  BadInput in Prometheus' words
    """
    text = call.first(name)
    if not text:
        return None
    try:
        return read_duration_ms(text)
    except BadInput as fault:
        raise BadInput(f'invalid parameter "{name}": {fault}') from None


def read_duration_ms(text: str) -> int:
    """Read seconds or 1h30m.

    raises  BadInput in Prometheus' words
    """
    told = f'cannot parse "{text}" to a valid duration'
    try:
        seconds = float(text)
    except ValueError:
        try:
            return parse_duration(text)
        except BadInput:
            raise BadInput(told) from None
    if not abs(seconds * 1e9) < 1 << 63:
        raise BadInput(f"{told}. It overflows int64")
    return int(seconds * 1000)


def limit(call: Call, name: str = "limit") -> int:
    """Read how many to give at most; 0 is all.

    raises  BadInput in Prometheus' words
    """
    text = call.first(name)
    if not text:
        return 0
    try:
        number = int(text[:20])
    except ValueError:
        raise BadInput(f'invalid parameter "{name}": strconv.Atoi: parsing "{text}": invalid syntax') from None
    if number < 0:
        raise BadInput(f'invalid parameter "{name}": limit must be non-negative')
    return number


def matcher_sets(call: Call, where: str = 'invalid parameter "match[]": ') -> list[list[Matcher]]:
    """Read match[].

    where   what an error begins with
    raises  BadInput in Prometheus' words
    """
    found = []
    for text in call.every("match[]"):
        try:
            found.append(selectors(text))
        except BadInput as fault:
            told = _NOTHING_NAMED if _MATCHES_ALL in str(fault) else fault
            raise BadInput(f"{where}{told}") from None
    return found


def span_ms(call: Call) -> tuple[int, int]:
    """Read start and end, both optional.

    raises  BadInput in Prometheus' words
    """
    return time_ms(call, "start", EARLIEST_MS), time_ms(call, "end", LATEST_MS)
