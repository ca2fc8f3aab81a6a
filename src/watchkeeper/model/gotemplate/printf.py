"""Go's fmt.Sprintf for the values of templates, with its complaints: %!d(string=x), %!s(MISSING), %!(EXTRA int=1)."""

import math
import re
from collections.abc import Sequence
from typing import Any

from watchkeeper.model.errors import BadInput
from watchkeeper.model.gotemplate.floats import format_float
from watchkeeper.model.gotemplate.lexer import quote
from watchkeeper.model.gotemplate.values import show, type_name

_SIZE_MAX = 1_000_000  # Go's own bound on widths and precisions
_LENGTH_MAX = 1 << 20
_DIRECTIVE = re.compile(
    r"%([-+# 0]*)(\[\d+\])?(\*|\d+)?(?:(\.)(\[\d+\])?(\*|\d+)?)?(\[\d+\])?(.)?", re.DOTALL | re.ASCII
)


def sprint(values: Sequence[Any]) -> str:
    """Write values one after the other, a space between two that are both no text."""
    out = ""
    for at, value in enumerate(values):
        if at and not isinstance(value, str) and not isinstance(values[at - 1], str):
            out += " "
        out += show(value)
    return out


def sprintf(form: str, values: Sequence[Any]) -> str:
    """Write values as the format says; a wrong format is said in the result.

    raises  BadInput when the result is longer than a million characters
    """
    return _Printer(values).run(form)


class _Printer:
    def __init__(self, values: Sequence[Any]) -> None:
        self._values = values
        self._next = 0
        self._reordered = False
        self._length = 0

    def run(self, form: str) -> str:
        out = _DIRECTIVE.sub(self._counted, form)
        if not self._reordered and self._next < len(self._values):
            extra = ", ".join(self._typed(value) for value in self._values[self._next :])
            out += f"%!(EXTRA {extra})"
        return out

    def _counted(self, found: re.Match[str]) -> str:
        """Write one directive; the same argument may be asked for again and again, so lengths are added up."""
        text = self._directive(found)
        self._length += len(text)
        if self._length > _LENGTH_MAX:
            raise BadInput(f"exceeded maximum of {_LENGTH_MAX} characters")
        return text

    def _directive(self, found: re.Match[str]) -> str:
        flags, width_at, width, dot, precision_at, precision, verb_at, verb = found.groups()
        if verb is None:
            return "%!(NOVERB)"
        problem = self._point(width_at)
        size, bad_width = self._size(width)
        problem = problem or self._point(precision_at)
        digits, bad_precision = self._size(precision) if dot else (None, "")
        if dot and precision is None:
            digits = 0
        if digits is not None and digits < 0:
            digits, bad_precision = None, "%!(BADPREC)"
        problem = problem or self._point(verb_at)
        complaints = (bad_width and "%!(BADWIDTH)") + (bad_precision and "%!(BADPREC)")
        if verb == "%":
            return complaints + "%"
        if problem or self._next >= len(self._values):
            return complaints + f"%!{verb}({'BADINDEX' if problem else 'MISSING'})"
        value = self._values[self._next]
        self._next += 1
        if size is not None and size < 0:
            flags, size = flags + "-", -size
        return complaints + self._verb(verb, value, flags, size, digits)

    def _point(self, index: str | None) -> bool:
        """Go to an explicit argument, [2]; True when there is no such."""
        if index is None:
            return False
        self._reordered = True
        wanted = int(index[1:-1][:9])
        if not 1 <= wanted <= len(self._values):
            return True
        self._next = wanted - 1
        return False

    def _size(self, text: str | None) -> tuple[int | None, str]:
        """Read a width or precision; the second is not empty when it is none."""
        if text is None:
            return None, ""
        if text == "*":
            value = self._values[self._next] if self._next < len(self._values) else None
            self._next += 1
            if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _SIZE_MAX:
                return None, "bad"
            return value, ""
        number = int(text[:9])
        return (None, "bad") if number > _SIZE_MAX else (number, "")

    def _verb(self, verb: str, value: Any, flags: str, width: int | None, precision: int | None) -> str:
        if verb == "T":
            return _padded("<nil>" if value is None else type_name(value), flags, width)
        if verb == "v" or value is None:
            return self._plain(verb, value, flags, width, precision)
        if isinstance(value, bool):
            return _padded(show(value), flags, width) if verb == "t" else self._bad(verb, value)
        if isinstance(value, float):
            return _float(verb, value, flags, width, precision) if verb in "eEfFgG" else self._bad(verb, value)
        if isinstance(value, int):
            text = _integer(verb, value, flags, width, precision)
            return self._bad(verb, value) if text is None else text
        if isinstance(value, str) or verb in "sq":
            text = _text(verb, value if isinstance(value, str) else show(value), flags, width, precision)
            return self._bad(verb, value) if text is None else text
        if isinstance(value, Sequence):
            return "[" + " ".join(self._verb(verb, part, flags, width, precision) for part in value) + "]"
        return self._bad(verb, value)

    def _plain(self, verb: str, value: Any, flags: str, width: int | None, precision: int | None) -> str:
        if value is None:
            return _padded("<nil>", flags, width) if verb == "v" else f"%!{verb}(<nil>)"
        flags = flags.replace("+", "")  # %+v asks for field names, not for a sign
        if isinstance(value, float):
            return _float("g", value, flags, width, precision)
        if isinstance(value, int) and not isinstance(value, bool):
            return _integer("d", value, flags, width, precision) or ""
        if isinstance(value, str):
            return _text("q" if "#" in flags else "s", value, flags.replace("#", ""), width, precision) or ""
        return _padded(show(value), flags, width)

    def _bad(self, verb: str, value: Any) -> str:
        return f"%!{verb}({self._typed(value)})"

    def _typed(self, value: Any) -> str:
        return "<nil>" if value is None else f"{type_name(value)}={show(value)}"


def _padded(text: str, flags: str, width: int | None, *, zeros: bool = False) -> str:
    if width is None or len(text) >= width:
        return text
    if "-" in flags:
        return text.ljust(width)
    if zeros and "0" in flags:
        sign = text[:1] if text[:1] in "+- " else ""
        return sign + text[len(sign) :].rjust(width - len(sign), "0")
    return text.rjust(width)


def _float(verb: str, value: float, flags: str, width: int | None, precision: int | None) -> str:
    digits = precision if precision is not None else (-1 if verb in "gG" else 6)
    text = format_float(value, verb, digits)
    if not math.isfinite(value):
        text = text if "+" in flags or text[0] != "+" or verb in "eEfFgG" else text[1:]
        return _padded("+NaN" if text == "NaN" and "+" in flags else text, flags, width)
    if text[0] != "-":
        text = "+" + text if "+" in flags else " " + text if " " in flags else text
    return _padded(text, flags, width, zeros=True)


def _integer(verb: str, value: int, flags: str, width: int | None, precision: int | None) -> str | None:
    magnitude = abs(value)
    forms = {"d": "d", "x": "x", "X": "X", "o": "o", "O": "o", "b": "b"}
    if verb in forms:
        prefix = {"x": "0x", "X": "0X", "o": "0", "b": "0b"}.get(verb, "") if "#" in flags else ""
        prefix = "0o" if verb == "O" else prefix
        digits = format(magnitude, forms[verb])
        digits = digits.rjust(precision, "0") if precision is not None else digits
        sign = "-" if value < 0 else "+" if "+" in flags else " " if " " in flags else ""
        return _padded(sign + prefix + digits, flags, width, zeros=precision is None)
    character = chr(value) if 0 <= value < 0x110000 and not 0xD800 <= value < 0xE000 else "\ufffd"
    if verb == "c":
        return _padded(character, flags, width)
    if verb == "q":
        return _padded("'" + (r"\'" if character == "'" else quote(character)[1:-1]) + "'", flags, width)
    return _padded(f"U+{magnitude:04X}", flags, width) if verb == "U" else None


def _text(verb: str, value: str, flags: str, width: int | None, precision: int | None) -> str | None:
    if verb in "xX":
        data = value.encode()[:precision]
        text = data.hex(" " if " " in flags else "") if data and " " in flags else data.hex()
        return _padded(text.upper() if verb == "X" else text, flags, width)
    cut = value if precision is None else value[:precision]
    if verb == "s":
        return _padded(cut, flags, width, zeros=True) if "0" in flags else _padded(cut, flags, width)
    if verb == "q":
        raw = "#" in flags and "`" not in cut and cut.isprintable()
        return _padded(f"`{cut}`" if raw else quote(cut, ascii_only="+" in flags), flags, width)
    return None
