"""Text as Go writes it, where receivers and their parsers compare it byte by byte: quotes, times, JSON."""

from datetime import UTC, datetime
from typing import Any

import orjson

ZERO_TIME = "0001-01-01T00:00:00Z"
_SHORT = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
    '"': '\\"',
}
_IN_JSON = (
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
)


def quoted(text: str) -> str:
    """Write a string as Go's %q does.

    source  pkg.go.dev/strconv, Quote
    """
    return '"' + "".join(map(_quoted_character, text)) + '"'


def _quoted_character(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def rfc3339(time_ms: int) -> str:
    """Write Unix milliseconds as time.RFC3339Nano does: UTC, no trailing zeros in the fraction."""
    whole, fraction = _split(time_ms)
    return f"{whole}.{fraction:03d}".rstrip("0").rstrip(".") + "Z"


def rfc3339_ms(time_ms: int) -> str:
    """Write Unix milliseconds as API v2 does: UTC, always three digits of fraction."""
    whole, fraction = _split(time_ms)
    return f"{whole}.{fraction:03d}Z"


def _split(time_ms: int) -> tuple[str, int]:
    seconds, fraction = divmod(time_ms, 1000)
    seconds = min(max(seconds, -62_135_596_800), 253_402_300_799)  # years 1 to 9999, all that the format can say
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0"), fraction


def json_bytes(value: Any) -> bytes:
    """Write JSON as Go's encoder does: `<`, `>`, `&` and line separators escaped; mappings in their own order."""
    body = orjson.dumps(value)
    for raw, escaped in _IN_JSON:
        body = body.replace(raw, escaped)
    return body
