"""Durations as Prometheus writes them: "1h30m" ⇄ milliseconds."""

import re

from watchkeeper.model.errors import BadInput

_UNITS_MS = {
    "y": 31_536_000_000,
    "w": 604_800_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1000,
    "ms": 1,
}
_FORM = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?", re.ASCII)
_LONGEST_MS = (1 << 63) // 1_000_000  # Go's time.Duration counts nanoseconds in 63 bits


def parse_duration(text: str) -> int:
    """Read a duration, giving milliseconds; units y w d h m s ms, each at most once and in this order.

    raises  BadInput naming the text
    source  github.com/prometheus/common, model.ParseDuration
    """
    if text == "0":
        return 0
    found = _FORM.fullmatch(text)
    if not text or found is None:
        raise BadInput(f'not a valid duration string: "{text[:60]}"')
    parts = zip(found.groups(), _UNITS_MS.values(), strict=True)
    total = sum(int(count[:20]) * unit for count, unit in parts if count)
    if total >= _LONGEST_MS:
        raise BadInput("duration out of range")
    return total


def format_duration(duration_ms: int) -> str:
    """Write milliseconds as Prometheus does: 5400000 is "1h30m"; years and weeks only when nothing is left over."""
    if duration_ms == 0:
        return "0s"
    sign, rest = ("-" if duration_ms < 0 else ""), abs(duration_ms)
    out = []
    for unit, size in _UNITS_MS.items():
        if unit in ("y", "w") and rest % size:  # 90d reads better than 12w6d
            continue
        count, rest = divmod(rest, size)
        if count:
            out.append(f"{count}{unit}")
    return sign + "".join(out)
