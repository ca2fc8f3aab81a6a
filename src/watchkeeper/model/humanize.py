"""Numbers, durations and moments as alert texts show them.

source  Prometheus docs, Template reference, Numbers; the tests ask promtool
"""

import math
from typing import Any

from watchkeeper.model.duration import parse_duration
from watchkeeper.model.errors import BadInput
from watchkeeper.model.gotemplate import GoTime, sprintf
from watchkeeper.model.gotemplate.lexer import quote
from watchkeeper.model.gotemplate.values import type_name

_LARGE = "kMGTPEZY"
_SMALL = "munpfazy"
_NANOSECONDS_MAX = 1 << 63


def as_float(value: Any) -> float:
    """Make a number of a template's value.

    raises  BadInput in Prometheus' words
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise BadInput(f"can't convert {'<nil>' if value is None else type_name(value)} to float")
    if not isinstance(value, str):
        return float(value)
    try:
        if not value.isascii() or value != value.strip() or "_" in value:
            raise ValueError
        return float.fromhex(value) if value.lower().lstrip("+-").startswith("0x") else float(value)
    except (ValueError, OverflowError):
        raise BadInput(f"strconv.ParseFloat: parsing {quote(value[:100])}: invalid syntax") from None


def humanize(value: Any) -> str:
    """Write a number with a decimal prefix: 1234567 is "1.235M"."""
    number = as_float(value)
    if number == 0 or not math.isfinite(number):
        return _short(number)
    if abs(number) >= 1:
        return _scaled(number, _LARGE, 1000)
    return _small(number)


def humanize_1024(value: Any) -> str:
    """Write a number with a binary prefix: 1048576 is "1Mi"."""
    number = as_float(value)
    if abs(number) <= 1 or not math.isfinite(number):
        return _short(number)
    return _scaled(number, [f"{letter}i" for letter in _LARGE], 1024)


def humanize_duration(value: Any) -> str:
    """Write seconds: 93784 is "1d 2h 3m 4s"."""
    number = as_float(value)
    if not math.isfinite(number):
        return _short(number)
    if number == 0:
        return "0s"
    if abs(number) < 1:
        return _small(number) + "s"
    sign, whole = ("-" if number < 0 else ""), int(abs(number))
    minutes, seconds = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {seconds}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {seconds}s"
    if minutes:
        return f"{sign}{minutes}m {seconds}s"
    return f"{sign}{_short(abs(number))}s"


def humanize_percentage(value: Any) -> str:
    """Write a ratio in per cent: 0.1234567 is "12.35%"."""
    return _short(as_float(value) * 100) + "%"


def humanize_timestamp(value: Any) -> str:
    """Write Unix seconds as Go writes a time in UTC."""
    number = as_float(value)
    return str(_moment(number)) if math.isfinite(number) else _short(number)


def to_time(value: Any) -> GoTime | None:
    """Make a moment of Unix seconds; nil of NaN and infinities."""
    number = as_float(value)
    return _moment(number) if math.isfinite(number) else None


def duration_seconds(text: str) -> float:
    """Read "1h30m" as seconds."""
    return parse_duration(text) / 1000


def _moment(seconds: float) -> GoTime:
    nanoseconds = seconds * 1e9
    if not -_NANOSECONDS_MAX <= nanoseconds < _NANOSECONDS_MAX:
        raise BadInput(
            f"{sprintf('%v', (seconds,))} cannot be represented as a nanoseconds timestamp since it overflows int64"
        )
    return GoTime(int(int(nanoseconds) / 1e6))


def _short(number: float) -> str:
    return sprintf("%.4g", (number,))


def _scaled(number: float, prefixes: str | list[str], step: int) -> str:
    prefix = ""
    for larger in prefixes:
        if abs(number) < step:
            break
        prefix, number = larger, number / step
    return _short(number) + prefix


def _small(number: float) -> str:
    prefix = ""
    for smaller in _SMALL:
        if abs(number) >= 1:
            break
        prefix, number = smaller, number * 1000
    return _short(number) + prefix
