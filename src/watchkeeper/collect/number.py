"""Numbers as Go reads and writes them: what an exposition may hold where a value or a bucket bound stands."""

import math
import re

from watchkeeper.model.errors import BadInput

_DECIMAL = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NAMED = {
    b"nan": math.nan,
    **dict.fromkeys((b"inf", b"+inf", b"infinity", b"+infinity"), math.inf),
    **dict.fromkeys((b"-inf", b"-infinity"), -math.inf),
}
_HEX = re.compile(rb"[+-]?0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)[pP][+-]?[0-9]+")
_LENGTH_MAX = 4096


def parse_value(text: bytes) -> float:
    """Read a sample value or a timestamp of an exposition.

    raises  BadInput in the words of Go's strconv: hexadecimal, `1_000`, blanks, other scripts' digits, overflow
    source  Prometheus, model/textparse parseFloat over strconv.ParseFloat
    """
    if len(text) <= _LENGTH_MAX and _DECIMAL.fullmatch(text):
        number = float(text)
        if math.isinf(number):
            raise BadInput(f'strconv.ParseFloat: parsing "{_shown(text)}": value out of range')
        return number
    named = _NAMED.get(text.lower())
    if named is not None:
        return named
    if set(text) & set(b"pP_"):
        raise BadInput("unsupported character in float")
    raise BadInput(f'strconv.ParseFloat: parsing "{_shown(text)}": invalid syntax')


def parse_bound(text: str) -> float | None:
    """Read a bucket bound or a quantile; None when the text is no number to Go."""
    raw = text.encode(errors="replace")
    if _HEX.fullmatch(raw):
        try:
            return float.fromhex(text)
        except (OverflowError, ValueError):
            return None
    try:
        return parse_value(raw)
    except BadInput:
        return None


def format_bound(number: float) -> str:
    """Write a bucket bound as OpenMetrics does: always with a point or an exponent, "1" is "1.0".

    source  Prometheus, model/textparse formatOpenMetricsFloat
    """
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "+Inf" if number > 0 else "-Inf"
    text = format_float(number)
    return text if "." in text or "e" in text else text + ".0"


def format_float(number: float) -> str:
    """Write a finite number as Go's strconv.FormatFloat(f, 'g', -1, 64): exponents below 1e-04 and from 1e+06 on."""
    sign = "-" if math.copysign(1, number) < 0 else ""
    if number == 0:
        return sign + "0"
    digits, exponent = _digits(repr(abs(number)))
    if exponent < -4 or exponent >= 6:
        head = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
        return f"{sign}{head}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    whole = digits[: exponent + 1].ljust(exponent + 1, "0")
    rest = digits[exponent + 1 :]
    return sign + whole + ("." + rest if rest else "")


def _digits(text: str) -> tuple[str, int]:
    mantissa, _, exponent = text.partition("e")
    whole, _, rest = mantissa.partition(".")
    joined = (whole + rest).lstrip("0")
    shift = len(whole) - 1 if whole.strip("0") else -(len(rest) - len(rest.lstrip("0")) + 1)
    return joined.rstrip("0") or "0", shift + int(exponent or 0)


def _shown(text: bytes) -> str:
    return text[:60].decode(errors="replace")
