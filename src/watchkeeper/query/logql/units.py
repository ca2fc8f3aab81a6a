"""Durations and byte sizes as LogQL and Go write them."""

import re

_DURATION_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
    "w": 604_800_000_000_000,
    "y": 31_536_000_000_000_000,
}
_DURATION_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h|d|w|y)", re.ASCII)
_BYTES_UNITS = {
    "": 1, "b": 1,
    "k": 10**3, "kb": 10**3, "kib": 1 << 10, "ki": 1 << 10,
    "m": 10**6, "mb": 10**6, "mib": 1 << 20, "mi": 1 << 20,
    "g": 10**9, "gb": 10**9, "gib": 1 << 30, "gi": 1 << 30,
    "t": 10**12, "tb": 10**12, "tib": 1 << 40, "ti": 1 << 40,
    "p": 10**15, "pb": 10**15, "pib": 1 << 50, "pi": 1 << 50,
    "e": 10**18, "eb": 10**18, "eib": 1 << 60, "ei": 1 << 60,
}  # fmt: skip
_BYTES_FORM = re.compile(r"\s*(\d[\d,]*\.?\d*|\.\d+)\s*([A-Za-z]*)\s*", re.ASCII)
_LONGEST_NS = 1 << 63


def duration_ns(text: str) -> int | None:
    """Read a duration such as "1h30m" or "1.5s", giving nanoseconds; None when it is none."""
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return 0
    total, place = 0.0, 0
    while place < len(rest):
        part = _DURATION_PART.match(rest, place)
        if part is None or len(part[1]) > 20:
            return None
        total += float(part[1]) * _DURATION_UNITS_NS[part[2]]
        place = part.end()
    return sign * round(total) if rest and total < _LONGEST_NS else None


def size_bytes(text: str) -> float | None:
    """Read a size such as "5KB" or "1.5MiB", giving bytes; None when it is none."""
    found = _BYTES_FORM.fullmatch(text)
    if found is None or len(found[1]) > 40:
        return None
    unit = _BYTES_UNITS.get(found[2].lower())
    return None if unit is None else float(found[1].replace(",", "")) * unit
