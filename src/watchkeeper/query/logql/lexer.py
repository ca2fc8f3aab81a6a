"""LogQL as tokens with their places, and errors in Loki's words."""

import re
from dataclasses import dataclass

from watchkeeper.model.errors import BadQuery

QUERY_LENGTH_MAX = 128 << 10
_TOKENS_MAX = 20_000

_SPACE = re.compile(r"(?:\s|#[^\n]*)*")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_:]*", re.ASCII)
_AMOUNT = re.compile(r"(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)", re.ASCII)
_UNITS = re.compile(r"[A-Za-zµμ][A-Za-zµμ0-9.]*")
_DURATION_WORD = re.compile(r"(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h|d|w|y))+(?![A-Za-z0-9_])", re.ASCII)
_BYTES_WORD = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[KMGTPE]i?B?|[kmgtpe]i?[bB]|B|b)(?![A-Za-z0-9_])", re.ASCII)
_RAW = re.compile(r"`[^`]*`")
_QUOTED = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_OPERATORS = (
    "|=", "|~", "!=", "!~", "|>", "!>", "==", "=~", ">=", "<=",
    "|", "=", ">", "<", "{", "}", "(", ")", ",", "+", "-", "*", "/", "%", "^", ".", "]",
)  # fmt: skip
_ESCAPE = re.compile(r"\\(?:([abfnrtv\\\"'])|x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([0-7]{3}))")
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a query.

    kind  "IDENTIFIER", "STRING", "NUMBER", "DURATION", "BYTES", "RANGE", "FLAG", "$end", or the operator itself
    text  a string's content, a range's inside, otherwise as written
    """

    kind: str
    text: str
    place: int


def parse_error(text: str, message: str, place: int | None = None) -> BadQuery:
    """Make an error as Loki words it; `place` is an offset in the query."""
    if place is None:
        return BadQuery(f"parse error : {message}")
    line = text.count("\n", 0, place) + 1
    column = place - (text.rfind("\n", 0, place) + 1) + 1
    error = BadQuery(f"parse error at line {line}, col {column}: {message}")
    error.position = (line, column)
    return error


def tokens(text: str) -> list[Token]:
    """Split a query.

    raises  BadQuery in Loki's words
    """
    if len(text) > QUERY_LENGTH_MAX:
        raise parse_error(text, f"input size too long ({len(text)} > {QUERY_LENGTH_MAX})")
    found: list[Token] = []
    place = _after_space(text, 0)
    while place < len(text):
        token, place = _token(text, place)
        found.append(token)
        if len(found) > _TOKENS_MAX:
            raise parse_error(text, f"query has too many tokens, want at most {_TOKENS_MAX}", place)
        place = _after_space(text, place)
    found.append(Token("$end", "", len(text)))
    return found


def _after_space(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    return found.end() if found else place


def _token(text: str, place: int) -> tuple[Token, int]:
    first = text[place]
    if first in '"`':
        return _string(text, place)
    if first == "[":
        end = text.find("]", place)
        if end < 0:
            raise parse_error(text, "missing closing ']' in duration", place)
        return Token("RANGE", text[place + 1 : end], place), end + 1
    word = _WORD.match(text, place)
    if word:
        return Token("IDENTIFIER", word[0], place), word.end()
    if text.startswith("--", place) and (flag := _WORD.match(text, place + 2)):
        end = flag.end()
        while end < len(text) and text[end] == "-" and (more := _WORD.match(text, end + 1)):
            end = more.end()
        return Token("FLAG", text[place:end], place), end
    if _AMOUNT.match(text, place):
        return _amount(text, place)
    for operator in _OPERATORS:
        if text.startswith(operator, place):
            return Token(operator, operator, place), place + len(operator)
    raise parse_error(text, f"syntax error: unexpected character {first!r}", place)


def _string(text: str, place: int) -> tuple[Token, int]:
    found = (_QUOTED if text[place] == '"' else _RAW).match(text, place)
    if found is None:
        raise parse_error(text, "literal not terminated", place)
    inside = found[0][1:-1]
    if text[place] == '"' and "\\" in inside:
        inside = _unescaped(text, inside, place)
    return Token("STRING", inside, place), found.end()


def _amount(text: str, place: int) -> tuple[Token, int]:
    for kind, form in (("DURATION", _DURATION_WORD), ("BYTES", _BYTES_WORD)):
        found = form.match(text, place)
        if found:
            return Token(kind, found[0], place), found.end()
    number = _AMOUNT.match(text, place)
    assert number is not None
    unit = _UNITS.match(text, number.end())
    if unit:
        raise parse_error(text, f'not a valid duration string: "{text[place : unit.end()]}"', place)
    return Token("NUMBER", number[0], place), number.end()


def _unescaped(text: str, inside: str, place: int) -> str:
    out, at = [], 0
    while (slash := inside.find("\\", at)) >= 0:
        found = _ESCAPE.match(inside, slash)
        if found is None:
            raise parse_error(text, "invalid char escape", place)
        simple, *codes = found.groups()
        out.append(inside[at:slash])
        if simple:
            out.append(_SIMPLE.get(simple, simple))
        else:
            number = next(int(code, 8 if code is codes[3] else 16) for code in codes if code)
            if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
                raise parse_error(text, "invalid char escape", place)
            out.append(chr(number))
        at = found.end()
    return "".join([*out, inside[at:]])
