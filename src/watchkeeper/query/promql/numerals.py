"""Numbers as Go writes them: answers, label values and texts must equal Prometheus' letter by letter."""

import math
from decimal import Decimal


def go_float(value: float) -> str:
    """Write the shortest decimal that reads back, never with an exponent (Go's 'f', -1)."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = repr(float(value))
    if "e" in text:
        text = format(Decimal(text), "f")
    return text.removesuffix(".0")


def go_general(value: float) -> str:
    """Write a number as Go's %g does: an exponent from 1e+21 and below 1e-4."""
    if not math.isfinite(value):
        return go_float(value)
    if value and not 1e-4 <= abs(value) < 1e21:
        mantissa, exponent = f"{Decimal(repr(float(value))):e}".split("e")
        if "." in mantissa:
            mantissa = mantissa.rstrip("0").removesuffix(".")
        power = int(exponent)
        return f"{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"
    return go_float(value)


def go_parse(text: str) -> float | None:
    """Read a number as Go's ParseFloat does; None when it is none."""
    if not text or text != text.strip() or "_" in text:
        return None
    try:
        return float.fromhex(text) if text.lower().lstrip("+-").startswith("0x") else float(text)
    except (ValueError, OverflowError):
        return None


def go_number(text: str) -> float:
    """Read a number as Go does: integers with 0x, 0o, 0b or a leading 0 (octal), else a float.

    raises  ValueError
    """
    bare = text.replace("_", "")
    if text.startswith("0x"):
        return float(int(bare, 16))
    if len(text) > 1 and text[0] == "0" and bare.isdigit() and all(digit in "01234567" for digit in bare):
        return float(int(bare, 8))
    if "_" in text and (text.endswith("_") or "__" in text or not bare.isdigit()):
        raise ValueError(text)
    return float(bare)


def go_openmetrics(value: float) -> str:
    """Write a number as OpenMetrics does labels such as le: 1 is "1.0"."""
    text = go_general(value)
    return text if any(sign in text for sign in ".eNI") else text + ".0"
