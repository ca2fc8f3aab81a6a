"""Floating point numbers as Go's strconv.FormatFloat writes them."""

import math
from decimal import Decimal

_SHORTEST_PRECISION = 6  # by which %g decides on an exponent when it writes as few digits as it can


def format_float(value: float, verb: str = "g", precision: int = -1) -> str:
    """Write a number.

    verb       e, f or g (E, G for capitals)
    precision  digits as in C; -1: as few as tell the number from its neighbours
    source     pkg.go.dev/strconv, FormatFloat
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if precision >= 0:
        return f"{value:.{precision}{verb}}"
    return _shortest(value, verb)


def _shortest(value: float, verb: str) -> str:
    sign = "-" if math.copysign(1, value) < 0 else ""
    _, digit_tuple, exponent = Decimal(repr(abs(value))).as_tuple()
    assert isinstance(exponent, int)
    digits = "".join(map(str, digit_tuple)).lstrip("0")
    exponent += len(digits) - 1
    digits = digits.rstrip("0") or "0"
    exponent = exponent if value else 0
    if verb in "fF" or (verb in "gG" and -4 <= exponent < _SHORTEST_PRECISION):
        return sign + _plain(digits, exponent)
    mantissa = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
    mark = "E" if verb in "EG" else "e"
    return f"{sign}{mantissa}{mark}{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _plain(digits: str, exponent: int) -> str:
    if exponent < 0:
        return "0." + "0" * (-exponent - 1) + digits
    if len(digits) <= exponent + 1:
        return digits + "0" * (exponent + 1 - len(digits))
    return f"{digits[: exponent + 1]}.{digits[exponent + 1 :]}"
