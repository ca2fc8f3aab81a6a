"""Constants of the template language → values: strings as strconv.Unquote reads them, numbers as Go's parser does."""

import re

from watchkeeper.model.errors import BadInput

_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)
_SIMPLE = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92}
_INT = re.compile(
    r"[+-]?(0[xX]_?[0-9a-fA-F]+(_[0-9a-fA-F]+)*|0[bB]_?[01]+(_[01]+)*|0[oO]?_?[0-7]+(_[0-7]+)*|0|[1-9]\d*(_\d+)*)"
)
_FLOAT = re.compile(r"[+-]?(\d+(_\d+)*\.?(\d+(_\d+)*)?|\.\d+(_\d+)*)([eE][+-]?\d+)?", re.ASCII)
_HEX_FLOAT = re.compile(r"[+-]?0[xX][0-9a-fA-F]*\.?[0-9a-fA-F]*[pP][+-]?\d+", re.ASCII)


def unquote(text: str) -> str:
    """Undo quotes and escapes.

    raises  BadInput "invalid syntax", as strconv
    """
    if text[0] == "`":
        return text[1:-1].replace("\r", "")
    quote, inner = text[0], text[1:-1]
    if "\\" not in inner:
        return inner
    out, at = bytearray(), 0
    for found in _ESCAPE.finditer(inner):
        out += inner[at : found.start()].encode()
        out += _unescape(found.group(1), quote)
        at = found.end()
    return (out + inner[at:].encode()).decode(errors="replace")


def _unescape(code: str, quote: str) -> bytes:
    if code in _SIMPLE:
        return bytes([_SIMPLE[code]])
    if code == quote:
        return quote.encode()
    if len(code) == 3 and code[0] in "01234567x":
        number = int(code[1:], 16) if code[0] == "x" else int(code, 8)
        if number < 256:
            return bytes([number])
    elif len(code) > 3:
        number = int(code[1:], 16)
        if number < 0x110000 and not 0xD800 <= number < 0xE000:
            return chr(number).encode()
    raise BadInput("invalid syntax")


def read_number(text: str) -> int | float:
    """Read a numeric or character constant: an int, or a float when it is written as one.

    raises  BadInput with Go's words
    """
    if text.startswith("'"):
        value = unquote(text)
        if len(value) != 1:
            raise BadInput(f"malformed character constant: {text}")
        return ord(value)
    if len(text) <= 400 and _INT.fullmatch(text):
        return _read_int(text)
    if len(text) <= 400 and _FLOAT.fullmatch(text):
        return float(text.replace("_", ""))
    if len(text) <= 400 and _HEX_FLOAT.fullmatch(text):
        return _read_hex_float(text)
    raise BadInput(f'bad number syntax: "{text[:40]}"')


def _read_int(text: str) -> int:
    plain = text.replace("_", "").lstrip("+-")
    octal = len(plain) > 1 and plain[0] == "0" and plain[1].isdigit()
    number = int(plain, 8) if octal else int(plain, 0)
    number = -number if text[0] == "-" else number
    if not -(1 << 63) <= number < 1 << 64:
        raise BadInput(f"integer overflow: {text[:40]!r}".replace("'", '"'))
    return number


def _read_hex_float(text: str) -> float:
    try:
        return float.fromhex(text)
    except (ValueError, OverflowError):
        raise BadInput(f'bad number syntax: "{text[:40]}"') from None
