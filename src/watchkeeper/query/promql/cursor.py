"""A place in a list of tokens, and what a descent parser does there: look, take, refuse."""

from typing import NoReturn

from watchkeeper.model.errors import BadQuery
from watchkeeper.query.promql.lexer import Token, go_quote, tokenize


class Cursor:
    """Goes through the tokens of a text. Faults are BadQuery with line and column, in Prometheus' words."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokenize(text)
        self.at = 0

    @property
    def now(self) -> Token:
        return self.tokens[self.at]

    def next(self) -> Token:
        token = self.tokens[self.at]
        if token.kind == "error":
            self.fail(token.text, token.start)
        if token.kind != "end":
            self.at += 1
        return token

    def sees(self, *texts: str) -> bool:
        token = self.now
        return token.kind in ("op", "punctuation", "keyword") and token.text.lower() in texts

    def takes(self, text: str) -> bool:
        if self.sees(text):
            self.at += 1
            return True
        return False

    def want(self, text: str, where: str, expected: str = "") -> Token:
        if not self.sees(text):
            self.unexpected(where, expected or go_quote(text))
        return self.next()

    def unexpected(self, where: str = "", expected: str = "") -> NoReturn:
        token = self.now
        if token.kind == "error":
            self.fail(token.text, token.start)
        message = f"unexpected {token.described()}"
        message += f" in {where}" if where else ""
        self.fail(message + (f", expected {expected}" if expected else ""), token.start)

    def fail(self, message: str, start: int) -> NoReturn:
        before = self.text[:start]
        line = before.count("\n") + 1
        raise BadQuery(f"parse error: {message}", (line, start - before.rfind("\n")))

    @property
    def last_end(self) -> int:
        return self.tokens[self.at - 1].end
