"""What an unquoted YAML word is to Go's decoder, where nothing says of which type it should be.

source  gopkg.in/yaml.v2, resolve.go
"""

import re
from math import inf, nan

_WORDS: dict[str, bool | float | None] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_WORDS |= dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True)
_WORDS |= dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False)
_WORDS |= dict.fromkeys((".nan", ".NaN", ".NAN"), nan)
_WORDS |= dict.fromkeys((f"{sign}.{word}" for sign in ("", "+") for word in ("inf", "Inf", "INF")), inf)
_WORDS |= dict.fromkeys((f"-.{word}" for word in ("inf", "Inf", "INF")), -inf)
_INTEGER = re.compile(r"([+-]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_INTEGER_BITS = 64


def resolved(text: str) -> str | float | bool | None:
    """Give what a word says: nothing, a truth value, a number, or itself."""
    if text in _WORDS:
        return _WORDS[text]
    if not re.match(r"[-+.0-9]", text):
        return text
    plain = text.replace("_", "")
    found = _INTEGER.fullmatch(plain)
    if found is not None:
        sign, *digits = found.groups()
        base, word = next((base, word) for base, word in zip((16, 2, 8, 10), digits, strict=True) if word is not None)
        number = int(sign + word, base)
        if -(1 << _INTEGER_BITS - 1) <= number < 1 << _INTEGER_BITS:
            return number
    return float(plain) if _FLOAT.fullmatch(plain) else text
