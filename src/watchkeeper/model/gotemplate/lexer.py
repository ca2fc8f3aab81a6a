"""Text → tokens of Go's template language, with Go's texts for what cannot be read."""

import re
from dataclasses import dataclass
from enum import Enum, auto

_SPACES = " \t\r\n"
_KEYWORDS = frozenset({"block", "break", "continue", "define", "else", "end", "if", "range", "nil", "template", "with"})


class Kind(Enum):
    """What a token is."""

    ERROR = auto()
    EOF = auto()
    TEXT = auto()
    LEFT = auto()  # {{
    RIGHT = auto()  # }}
    SPACE = auto()
    BOOL = auto()
    CHARACTER = auto()  # a printable character with no other meaning
    CHARACTER_CONSTANT = auto()
    NUMBER = auto()
    STRING = auto()
    RAW_STRING = auto()
    DOT = auto()
    FIELD = auto()
    VARIABLE = auto()
    IDENTIFIER = auto()
    KEYWORD = auto()
    DECLARE = auto()  # :=
    ASSIGN = auto()
    PIPE = auto()
    LEFT_PAREN = auto()
    RIGHT_PAREN = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text; `at` counts characters from 0, `line` from 1."""

    kind: Kind
    text: str
    at: int
    line: int

    def __str__(self) -> str:
        if self.kind is Kind.EOF:
            return "EOF"
        if self.kind is Kind.ERROR:
            return self.text
        if self.kind is Kind.KEYWORD:
            return f"<{self.text}>"
        return f"{quote(self.text[:10])}..." if len(self.text) > 10 else quote(self.text)


def quote(text: str, *, ascii_only: bool = False) -> str:
    """Write text as Go's %q does."""
    out = ['"']
    for character in text:
        code = ord(character)
        if character in '"\\':
            out.append("\\" + character)
        elif character in _ESCAPES:
            out.append(_ESCAPES[character])
        elif code < 0x20 or code == 0x7F:
            out.append(f"\\x{code:02x}")
        elif not character.isprintable() or (ascii_only and code > 0x7F):
            out.append(f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
        else:
            out.append(character)
    return "".join(out) + '"'


_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}

# What may stand inside an action. A word, field or variable must be followed by a terminator; that is checked after.
_INSIDE = re.compile(
    r"""(?P<right>[ \t\r\n]-}}|}})
      | (?P<space>[ \t\r\n]+(?=[ \t\r\n]-}})|[ \t\r\n]+)
      | (?P<declare>:=) | (?P<assign>=) | (?P<pipe>\|) | (?P<left_paren>\() | (?P<right_paren>\))
      | (?P<string>"(?:[^"\\\n]|\\[^\n])*") | (?P<raw>`[^`]*`) | (?P<constant>'(?:[^'\\\n]|\\[^\n])*')
      | (?P<number>[+-]?(?:0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]*)?|0[bB][01_]*|0[oO][0-7_]*
          |(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9_]*)?)i?)
      | (?P<field>\.\w*) | (?P<variable>\$\w*) | (?P<word>\w+)
    """,
    re.VERBOSE,
)
_KINDS = {
    "space": Kind.SPACE,
    "declare": Kind.DECLARE,
    "assign": Kind.ASSIGN,
    "pipe": Kind.PIPE,
    "left_paren": Kind.LEFT_PAREN,
    "right_paren": Kind.RIGHT_PAREN,
    "string": Kind.STRING,
    "raw": Kind.RAW_STRING,
    "constant": Kind.CHARACTER_CONSTANT,
    "number": Kind.NUMBER,
    "variable": Kind.VARIABLE,
}


def tokens(text: str) -> list[Token]:
    """Split a template; the last token is EOF, or ERROR with Go's words for what is wrong there."""
    return _Lexer(text).run()


class _Lexer:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._counted = 0  # newlines up to here are in _line
        self._parens = 0
        self._out: list[Token] = []

    def run(self) -> list[Token]:
        while self._read_text():
            pass
        return self._out

    def _add(self, kind: Kind, text: str, at: int) -> None:
        self._line += self._text.count("\n", self._counted, at)
        self._counted = at
        self._out.append(Token(kind, text, at, self._line))

    def _fail(self, reason: str, at: int) -> bool:
        self._add(Kind.ERROR, reason, at)
        return False

    def _read_text(self) -> bool:
        """Read up to an action, and the action."""
        start = self._at
        left = self._text.find("{{", start)
        if left < 0:
            if start < len(self._text):
                self._add(Kind.TEXT, self._text[start:], start)
            self._add(Kind.EOF, "", len(self._text))
            return False
        trims = self._text.startswith("-", left + 2) and self._text[left + 3 : left + 4] in {*_SPACES}
        plain = self._text[start:left].rstrip(_SPACES) if trims else self._text[start:left]
        if plain:
            self._add(Kind.TEXT, plain, start)
        inside = left + (3 if trims else 2)
        after_marker = inside + (1 if trims else 0)
        if self._text.startswith("/*", after_marker):
            return self._skip_comment(after_marker)
        self._add(Kind.LEFT, "{{", left)
        self._at = inside
        self._parens = 0
        while self._out[-1].kind is not Kind.RIGHT:
            if not self._read_inside():
                return False
        return True

    def _skip_comment(self, start: int) -> bool:
        end = self._text.find("*/", start)
        if end < 0:
            return self._fail("unclosed comment", start)
        rest = self._text[end + 2 : end + 6]
        if rest.startswith("}}"):
            self._at = end + 4
        elif rest[:1] in {*_SPACES} and rest[1:4] == "-}}":
            self._at = end + 6
            self._skip_space()
        else:
            return self._fail("comment ends before closing delimiter", start)
        return True

    def _skip_space(self) -> None:
        while self._at < len(self._text) and self._text[self._at] in _SPACES:
            self._at += 1

    def _read_inside(self) -> bool:
        at = self._at
        found = _INSIDE.match(self._text, at)
        if found is None or found.lastgroup is None:
            return self._fail_inside(at)
        name, text = found.lastgroup, found.group()
        self._at = found.end()
        if name == "right":
            return self._close(text, at)
        if name in {"word", "field", "variable"}:
            return self._read_name(name, text, at)
        if name == "number" and self._text[self._at : self._at + 1].isalnum():
            return self._fail(f"bad number syntax: {quote(self._text[at : self._at + 1])}", at)
        self._parens += (name == "left_paren") - (name == "right_paren")
        if self._parens < 0:
            return self._fail("unexpected right paren", at)
        self._add(_KINDS[name], text, at)
        return True

    def _close(self, text: str, at: int) -> bool:
        if self._parens:
            return self._fail("unclosed left paren", at)
        self._add(Kind.RIGHT, "}}", at)
        if len(text) > 2:
            self._skip_space()
        return True

    def _read_name(self, name: str, text: str, at: int) -> bool:
        following = self._text[self._at : self._at + 2]
        if following and following[0] not in " \t\r\n.,|:()" and following != "}}":
            return self._fail(f"bad character U+{ord(following[0]):04X} '{following[0]}'", at)
        if name == "variable":
            kind = Kind.VARIABLE
        elif name == "field":
            kind = Kind.DOT if text == "." else Kind.FIELD
        elif text in _KEYWORDS:
            kind = Kind.KEYWORD
        else:
            kind = Kind.BOOL if text in ("true", "false") else Kind.IDENTIFIER
        self._add(kind, text, at)
        return True

    def _fail_inside(self, at: int) -> bool:
        if at >= len(self._text):
            return self._fail("unclosed action", at)
        character = self._text[at]
        unterminated = {
            '"': "unterminated quoted string",
            "`": "unterminated raw quoted string",
            "'": "unterminated character constant",
            ":": "expected :=",
        }
        if character in unterminated:
            return self._fail(unterminated[character], at)
        if character.isascii() and character.isprintable():
            self._at += 1
            self._add(Kind.CHARACTER, character, at)
            return True
        return self._fail(f"unrecognized character in action: U+{ord(character):04X} '{character}'", at)
