"""PromQL text to tokens, by one regular expression of ours.

source  Prometheus 3.5, promql/parser/lex.go
"""

import re
from typing import NamedTuple

AGGREGATORS = frozenset({
    "avg", "bottomk", "count", "count_values", "group", "limit_ratio", "limitk", "max", "min", "quantile", "stddev",
    "stdvar", "sum", "topk",
})  # fmt: skip
_WORD_OPERATORS = frozenset({"and", "or", "unless", "atan2"})
_KEYWORDS = frozenset(
    {"bool", "by", "end", "group_left", "group_right", "ignoring", "offset", "on", "start", "without"}
)
_OPERATORS = frozenset(
    {"+", "-", "*", "/", "%", "^", "==", "!=", "<", "<=", ">", ">=", "</", ">/", "=~", "!~", "=", "@"}
)
_CLOSES = {")": "(", "]": "[", "}": "{"}

_TOKEN = re.compile(
    r"""
    (?P<space>[\s]+|\#[^\n]*)
  | (?P<duration>(?:[0-9]+(?:ms|[smhdwy]))+(?![\w.]))
  | (?P<number>(?:0[xX][0-9a-fA-F_]+|[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9][0-9_]*)?
              |\.[0-9][0-9_]*(?:[eE][+-]?[0-9][0-9_]*)?)(?![\w.]))
  | (?P<badnumber>\.?[0-9][\w.]*)
  | (?P<word>[a-zA-Z_][a-zA-Z0-9_]*(?::[a-zA-Z0-9_:]*)?|:[a-zA-Z0-9_:]*)
  | (?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`[^`]*`)
  | (?P<sign>=~|!~|==|!=|<=|>=|</|>/|[-+*/%^@=<>(){}\[\],])
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)


class Token(NamedTuple):
    """kind: op, punctuation, aggr, keyword, identifier, metric, number, duration, string, error or end."""

    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    def described(self) -> str:
        """Name the token as Prometheus' error texts do."""
        if self.kind == "end":
            return "end of input"
        if self.kind == "aggr":
            return f"<aggr:{self.text}>"
        if self.kind == "op" and self.text != "=":
            return f"<op:{self.text}>"
        if self.kind == "keyword":
            return f"<{self.text}>"
        quoted = go_quote(self.text)
        if self.kind in ("punctuation", "op"):
            return quoted
        return f"{'metric identifier' if self.kind == 'metric' else self.kind} {quoted}"


_TOKENS_MAX = 20_000


def tokenize(text: str) -> list[Token]:
    """Give the tokens, an "end" last; an "error" (its text is the message) ends the list early."""
    tokens: list[Token] = []
    open_brackets: list[str] = []
    at, size = 0, len(text)
    match = _TOKEN.match
    while at < size:
        if len(tokens) > _TOKENS_MAX:
            tokens.append(Token("error", f"expression has more than {_TOKENS_MAX} words and signs", at))
            return tokens
        found = match(text, at)
        kind = found.lastgroup if found else None
        if found is None or kind == "badnumber":
            tokens.append(Token("error", _fault(text, at, found and found.group()), at))
            return tokens
        word = found.group()
        if kind == "word":
            if "[" in open_brackets and ":" in word:
                word = word.split(":", 1)[0] or ":"
            tokens.append(_word(word, at, open_brackets))
        elif kind == "sign":
            fault = _balance(word, open_brackets)
            if fault:
                tokens.append(Token("error", fault, at + (word == ")")))
                return tokens
            tokens.append(Token("op" if word in _OPERATORS else "punctuation", word, at))
        elif kind != "space":
            tokens.append(Token(str(kind), word, at))
        at += len(word)
    if open_brackets:
        missing = {"(": "unclosed left parenthesis", "[": "unclosed left bracket"}
        text_of = missing.get(open_brackets[-1], "unexpected end of input inside braces")
        tokens.append(Token("error", text_of, size))
    else:
        tokens.append(Token("end", "", size))
    return tokens


def _word(word: str, at: int, open_brackets: list[str]) -> Token:
    lower = word.lower()
    if open_brackets and open_brackets[-1] == "{":
        return Token("identifier", word, at)
    if word == ":":
        return Token("punctuation", word, at)
    if lower in AGGREGATORS:
        return Token("aggr", word, at)
    if lower in _WORD_OPERATORS:
        return Token("op", word, at)
    if lower in _KEYWORDS:
        return Token("keyword", word, at)
    if lower in ("inf", "nan"):
        return Token("number", word, at)
    return Token("metric" if ":" in word else "identifier", word, at)


def _balance(sign: str, open_brackets: list[str]) -> str:
    """Keep the stack of open brackets; give a message when a bracket has no partner."""
    if sign in "([{":
        if sign == "{" and open_brackets[-1:] == ["{"]:
            return "unexpected left brace '{'"
        open_brackets.append(sign)
    elif sign in _CLOSES:
        if open_brackets[-1:] != [_CLOSES[sign]]:
            names = {")": "parenthesis", "]": "bracket", "}": "brace"}
            return f"unexpected right {names[sign]} '{sign}'"
        open_brackets.pop()
    return ""


def _fault(text: str, at: int, number: str | None) -> str:
    if number:
        return f"bad number or duration syntax: {go_quote(number)}"
    sign = text[at]
    if sign in "\"'":
        return "unterminated quoted string"
    if sign == "`":
        return "unterminated raw string"
    if sign == "!":
        return f"unexpected character after '!': {_rune(text[at + 1 : at + 2])}"
    return f"unexpected character: {_rune(sign)}"


def _rune(sign: str) -> str:
    return f"'{sign}'" if sign else "EOF"


def go_quote(text: str) -> str:
    """Quote a string as Go's %q does."""
    out = []
    for sign in text:
        escape = _ESCAPES_OUT.get(sign)
        if escape:
            out.append(escape)
        elif sign.isprintable():
            out.append(sign)
        else:
            code = ord(sign)
            out.append(f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
    return '"' + "".join(out) + '"'


_ESCAPES_OUT = {
    '"': '\\"', "\\": "\\\\", "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"
}  # fmt: skip
_ESCAPES_IN = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, "'": 39, '"': 34}
_ESCAPE = re.compile(rb"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)


def unquote(quoted: str) -> str:
    """Give the text of a string token; Go's escapes in single and double quotes, none in backquotes.

    raises  ValueError for an escape that Go does not know
    """
    inner = quoted[1:-1]
    if quoted[0] == "`" or "\\" not in inner:
        return inner
    mark = quoted[0]

    def undo(found: re.Match[bytes]) -> bytes:
        code = found.group()[1:].decode(errors="replace")
        if code in ("'", '"') and code != mark:
            raise ValueError(code)
        if code in _ESCAPES_IN:
            return bytes((_ESCAPES_IN[code],))
        if len(code) == 1:
            raise ValueError(code)
        if code[0] in "uU":
            return chr(int(code[1:], 16)).encode()
        return bytes((int(code[1:], 16) if code[0] == "x" else int(code, 8),))

    return _ESCAPE.sub(undo, inner.encode()).decode(errors="replace")
