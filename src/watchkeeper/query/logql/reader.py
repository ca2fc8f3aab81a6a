"""Walking along the tokens of a query."""

from collections.abc import Iterator
from contextlib import contextmanager

from watchkeeper.model.errors import BadQuery
from watchkeeper.query.logql.lexer import Token, parse_error, tokens

_DEPTH_MAX = 50
_OPERATORS_MAX = 200
_KEYWORDS = frozenset(
    {"by", "without", "on", "ignoring", "bool", "offset", "and", "or", "unless", "vector", "ip"}
    | {"json", "logfmt", "regexp", "unpack", "pattern", "unwrap", "drop", "keep", "decolorize"}
    | {"line_format", "label_format", "rate", "count_over_time", "bytes_rate", "bytes_over_time", "absent_over_time"}
    | {"sum", "avg", "min", "max", "count", "topk", "bottomk", "stddev", "stdvar"}
)


class TokenReader:
    """A place in a query's tokens."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._tokens = tokens(text)
        self._at = 0
        self._depth = self._operators = 0

    def peek(self, ahead: int = 0) -> Token:
        """Look at a token to come."""
        return self._tokens[min(self._at + ahead, len(self._tokens) - 1)]

    def take(self) -> Token:
        """Go past a token."""
        token = self.peek()
        self._at += 1
        return token

    def at(self, kind: str) -> bool:
        """Say whether the next token is of a kind."""
        return self.peek().kind == kind

    def at_word(self, word: str) -> bool:
        """Say whether the next token is this word."""
        return self.peek().kind == "IDENTIFIER" and self.peek().text == word

    def at_pipeline(self) -> bool:
        """Say whether a pipeline stage follows."""
        return self.peek().kind in ("|", "|=", "|~", "!=", "!~", "|>", "!>")

    def take_word(self, word: str) -> bool:
        """Go past a word if it is next."""
        found = self.at_word(word)
        self._at += found
        return found

    def take_operator(self) -> str:
        """Go past an operator that joins two sides.

        raises  BadQuery when there are too many for one query
        """
        self._operators += 1
        if self._operators > _OPERATORS_MAX:
            message = f"query has too many operators, want at most {_OPERATORS_MAX}"
            raise parse_error(self.text, message, self.peek().place)
        return self.take().text

    def expect(self, kind: str, expecting: str = "") -> Token:
        """Go past a token of a kind.

        raises  BadQuery when the next is another
        """
        if not self.at(kind):
            raise self.unexpected(expecting=expecting or kind)
        return self.take()

    def unexpected(self, token: Token | None = None, expecting: str = "") -> BadQuery:
        """Make the error for a token that may not stand there."""
        token = token or self.peek()
        name = token.kind
        if name == "IDENTIFIER" and token.text in _KEYWORDS:
            name = token.text
        tail = f", expecting {expecting}" if expecting else ""
        return parse_error(self.text, f"syntax error: unexpected {name}{tail}", token.place)

    @contextmanager
    def deeper(self) -> Iterator[None]:
        """Go one level down.

        raises  BadQuery when too deep
        """
        self._depth += 1
        if self._depth > _DEPTH_MAX:
            raise parse_error(self.text, f"query is nested too deeply, want at most {_DEPTH_MAX}", self.peek().place)
        yield
        self._depth -= 1
