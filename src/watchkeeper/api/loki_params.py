"""Parameters of Loki's API: times in seconds, nanoseconds or RFC 3339; steps; limits.

source  grafana/loki, pkg/loghttp/params.go
"""

import math
import re
from datetime import UTC, datetime

from watchkeeper.model.errors import BadInput
from watchkeeper.net.routing import Call
from watchkeeper.query.logql.engine import Direction
from watchkeeper.query.logql.units import duration_ns

NS_PER_S = 1_000_000_000
_LATEST_NS = (1 << 63) - 1
_RFC3339 = re.compile(r"(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)
_INTEGER = re.compile(r"-?\d{1,19}", re.ASCII)
_DECIMAL = re.compile(r"-?\d{1,19}\.\d*", re.ASCII)
_POINTS_WANTED = 250


def time_ns(call: Call, name: str, default_ns: int) -> int:
    """Read a moment, giving Unix nanoseconds.

    raises  BadInput naming the parameter
    """
    text = call.first(name)
    if not text:
        return default_ns
    found = _parsed(text)
    if found is None or abs(found) > _LATEST_NS:
        raise BadInput(f"could not parse '{name}' parameter: cannot parse \"{text[:60]}\" to a time")
    return found


def span_ns(call: Call, now_ns: int, since_ns: int = 3600 * NS_PER_S) -> tuple[int, int]:
    """Read start and end; without a start it is `since` (an hour) before the end.

    raises  BadInput naming the parameter, or when the end is before the start
    """
    end_ns = time_ns(call, "end", now_ns)
    text = call.first("since")
    if text:
        found = duration_ns(text)
        if found is None:
            raise BadInput(f"could not parse 'since' parameter: not a valid duration string: \"{text[:60]}\"")
        since_ns = found
    start_ns = time_ns(call, "start", min(end_ns, now_ns) - since_ns)
    if end_ns < start_ns:
        raise BadInput("end timestamp must not be before or equal to start time")
    return start_ns, end_ns


def step_ns(call: Call, start_ns: int, end_ns: int) -> int:
    """Read the step: seconds or a duration; without one some 250 points, no closer than a second.

    raises  BadInput
    """
    text = call.first("step")
    if not text:
        return max(math.ceil((end_ns - start_ns) / NS_PER_S / _POINTS_WANTED), 1) * NS_PER_S
    step = _duration(text)
    if step is None:
        raise BadInput(f'cannot parse "{text[:60]}" to a valid duration')
    if step <= 0:
        raise BadInput("zero or negative query resolution step widths are not accepted. Try a positive integer")
    return step


def interval_ns(call: Call) -> int:
    """Read the interval between lines wanted; 0 for all.

    raises  BadInput
    """
    text = call.first("interval")
    found = _duration(text) if text else 0
    if found is None or found < 0:
        raise BadInput("interval must be >= 0")
    return found


def limit(call: Call) -> int:
    """Read how many lines are wanted.

    raises  BadInput
    """
    text = call.first("limit", "100")
    if not _INTEGER.fullmatch(text):
        raise BadInput(f"could not parse 'limit' parameter: cannot parse \"{text[:60]}\" to a number")
    if int(text) < 0:
        raise BadInput("limit must be a positive value")
    return int(text)


def direction(call: Call) -> Direction:
    """Read the direction.

    raises  BadInput
    """
    text = call.first("direction", "backward").lower()
    if text == "forward":
        return "forward"
    if text == "backward":
        return "backward"
    raise BadInput(f"invalid direction '{text[:60]}'")


def _parsed(text: str) -> int | None:
    if _INTEGER.fullmatch(text):
        return int(text) * NS_PER_S if len(text) <= 10 else int(text)
    if _DECIMAL.fullmatch(text):
        whole, _, part = text.partition(".")
        sign = -1 if text.startswith("-") else 1
        return int(whole) * NS_PER_S + sign * int(part[:9].ljust(9, "0"))
    found = _RFC3339.fullmatch(text)
    if found is None:
        return None
    day, clock, part, zone = found.groups()
    try:
        whole_s = datetime.fromisoformat(f"{day}T{clock}{'+00:00' if zone in 'Zz' else zone}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return int(whole_s.timestamp()) * NS_PER_S + int((part or "").ljust(9, "0"))


def _duration(text: str) -> int | None:
    if _INTEGER.fullmatch(text) or _DECIMAL.fullmatch(text):
        return _parsed_seconds(text)
    return duration_ns(text)


def _parsed_seconds(text: str) -> int:
    whole, _, part = text.partition(".")
    return int(whole) * NS_PER_S + int(part[:9].ljust(9, "0") if part else 0)
