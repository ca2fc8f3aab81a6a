"""Label matchers with Alertmanager's rules, which differ from PromQL's in how they print and what `.` matches."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

from watchkeeper.model.errors import BadInput
from watchkeeper.model.labels import Labels
from watchkeeper.model.pattern import Pattern, compile_pattern
from watchkeeper.notify.gotext import quoted

MatchOp = Literal["=", "!=", "=~", "!~"]
_OP_ORDER: dict[MatchOp, int] = {"=": 0, "!=": 1, "=~": 2, "!~": 3}
_RE2_REASONS = {
    "missing )": "missing closing )",
    "missing ]": "missing closing ]",
    "no argument for repetition operator": "missing argument to repetition operator",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid perl operator": "invalid or unsupported Perl syntax",
}
_LIST_MAX = 1000


@dataclass(frozen=True, slots=True)
class LabelMatcher:
    """One condition on one label; an absent label is the empty string, regexes are anchored at both ends.

    raises  BadInput with Go's words when the value is no valid regular expression
    source  github.com/prometheus/alertmanager, pkg/labels
    """

    name: str
    op: MatchOp
    value: str
    _pattern: Pattern | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        if self.op in ("=~", "!~"):
            object.__setattr__(self, "_pattern", compile_go(f"^(?:{self.value})$"))

    def __str__(self) -> str:
        if any(is_reserved(character) for character in self.name):
            return quoted(self.name) + self.op + quoted(self.value)
        escaped = self.value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
        return f'{self.name}{self.op}"{escaped}"'

    @property
    def is_regex(self) -> bool:
        """Whether the value is a regular expression."""
        return self.op in ("=~", "!~")

    @property
    def is_equal(self) -> bool:
        """Whether it asks for a match, not for the absence of one."""
        return self.op in ("=", "=~")

    def test(self, text: str) -> bool:
        """Say whether a label value (empty for an absent label) satisfies the condition."""
        hit = text == self.value if self._pattern is None else self._pattern.search(text) is not None
        return hit == self.is_equal


Matchers = Sequence[LabelMatcher]


def match_all(matchers: Matchers, labels: Labels) -> bool:
    """Say whether one label set satisfies every matcher."""
    return all(matcher.test(labels.get(matcher.name, "")) for matcher in matchers)


def ordered(matchers: Iterable[LabelMatcher]) -> tuple[LabelMatcher, ...]:
    """Sort by name, value, operator: the order that group keys are made of."""
    return tuple(sorted(matchers, key=lambda one: (one.name, one.value, _OP_ORDER[one.op])))


def shown(matchers: Matchers) -> str:
    """Write matchers as {a="b",c!="d"}."""
    return "{" + ",".join(map(str, matchers)) + "}"


def compile_go(pattern: str) -> Pattern:
    """Compile a regular expression, with the error text of Go's regexp package.

    raises  BadInput
    """
    try:
        return compile_pattern(pattern)
    except BadInput as error:
        whole = str(error).removeprefix(f"cannot compile regular expression {pattern[:200]!r}: ")
        reason, _, part = whole.partition(": ")  # RE2 names the part of the pattern that it stumbled over, as Go does
        raise BadInput(f"error parsing regexp: {_RE2_REASONS.get(reason, reason)}: `{part}`") from None


def is_reserved(character: str) -> bool:
    """Say whether a character must stand in quotes in the UTF-8 syntax."""
    return character.isspace() or character in "{}!=~,\\\"'`"


# ---- the strings: {foo="bar", baz=~"q.*"} ----

_CLASSIC = re.compile(
    r"[ \t\n\f\r]*(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)[ \t\n\f\r]*(?P<op>=~|=|!=|!~)"
    r"[ \t\n\f\r]*(?P<value>.*?)[ \t\n\f\r]*",
    re.DOTALL,
)


def parse_matchers(text: str) -> tuple[LabelMatcher, ...]:
    """Read zero or more matchers; the UTF-8 syntax, and the classic one where that fails or reads differently.

    raises  BadInput with the classic parser's words when neither understands it
    source  Alertmanager docs, Configuration, Label matchers
    """
    try:
        modern = _Utf8Parser(text).parse()
    except BadInput:
        return _classic_list(text)
    try:
        return _classic_list(text)
    except BadInput:
        return modern


def parse_matcher(text: str) -> LabelMatcher:
    """Read exactly one matcher, without braces, as the API's `filter` wants it.

    raises  BadInput
    """
    if text.startswith("{") or text.endswith("}"):
        raise BadInput(f"unexpected open or close brace: {text}")
    try:
        modern = _Utf8Parser(text).parse()
        if len(modern) != 1:
            raise BadInput(f"expected 1 matcher, found {len(modern)}" if modern else "no matchers")
    except BadInput:
        return _classic_one(text)
    try:
        return _classic_one(text)
    except BadInput:
        return modern[0]


def _classic_list(text: str) -> tuple[LabelMatcher, ...]:
    tokens, start, inside, escaped = [], 0, False, False
    body = text.removeprefix("{").removesuffix("}")
    for at, character in enumerate(body):
        if character == "," and not inside:
            tokens.append(body[start:at])
            start = at + 1
            continue
        if character == '"':
            inside = inside if escaped else not inside
            escaped = False
        else:
            escaped = character == "\\" and not escaped
    if body[start:].strip():
        tokens.append(body[start:].strip())
    if len(tokens) > _LIST_MAX:
        raise BadInput(f"cannot parse matchers: got {len(tokens)}, want at most {_LIST_MAX}")
    return tuple(map(_classic_one, tokens))


def _classic_one(text: str) -> LabelMatcher:
    found = _CLASSIC.fullmatch(text)
    if found is None:
        raise BadInput(f"bad matcher format: {text}")
    return LabelMatcher(found["name"], cast("MatchOp", found["op"]), _classic_value(found["value"]))


def _classic_value(raw: str) -> str:
    fault = BadInput(f"matcher value contains unescaped double quote: {raw}")
    body, wants_quote = (raw[1:], True) if raw.startswith('"') else (raw, False)
    out, at = [], 0
    while at < len(body):
        character = body[at]
        following = body[at + 1 : at + 2]
        if character == "\\" and following:
            out.append({"n": "\n", '"': '"', "\\": "\\"}.get(following, "\\" + following))
            at += 2
            continue
        if character == '"':
            if not wants_quote or at < len(body) - 1:
                raise fault
            wants_quote = False
        else:
            out.append(character)
        at += 1
    if wants_quote:
        raise fault
    return "".join(out)


_TOKEN = re.compile(r'\s*(?:([{},])|(=~|!=|!~|=)|("(?:[^"\\]|\\.)*")|([^\s{}!=~,\\"\'`]+))', re.DOTALL)
_ESCAPE = re.compile(
    r'\\(?:([abfnrtv\\"])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))', re.DOTALL
)
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"'}


class _Utf8Parser:
    """Reads the UTF-8 syntax: names and values bare or in double quotes with Go's escapes."""

    def __init__(self, text: str) -> None:
        self._tokens: list[str] = []
        at = 0
        while text[at:].strip():
            found = _TOKEN.match(text, at)
            if found is None or len(self._tokens) > 8 * _LIST_MAX:
                raise BadInput(f"0:{len(text)}: {text[at : at + 60]}: invalid input")
            self._tokens.append(found.group().lstrip())
            at = found.end()

    def parse(self) -> tuple[LabelMatcher, ...]:
        braced = self._take("{")
        matchers: list[LabelMatcher] = []
        while self._tokens and self._tokens[0] != "}":
            if matchers:
                self._expect(",", "a comma or close brace")
                if not self._tokens or self._tokens[0] == "}":
                    break
            matchers.append(self._one())
        if braced != self._take("}"):
            raise BadInput("end of input: expected close brace" if braced else "}: expected opening brace")
        if self._tokens:
            raise BadInput(f"{self._tokens[0]}: expected end of input")
        return tuple(matchers)

    def _one(self) -> LabelMatcher:
        name = self._text("expected label name")
        op = self._tokens.pop(0) if self._tokens else ""
        if op not in _OP_ORDER:
            raise BadInput("expected an operator such as '=', '!=', '=~' or '!~'")
        return LabelMatcher(name, op, self._text("expected label value"))

    def _text(self, want: str) -> str:
        if not self._tokens:
            raise BadInput(f"end of input: {want}")
        token = self._tokens.pop(0)
        if token in _OP_ORDER or token in ("{", "}", ","):
            raise BadInput(f"unexpected {token}: {want}")
        return _unquoted(token) if token.startswith('"') else token

    def _take(self, token: str) -> bool:
        if self._tokens and self._tokens[0] == token:
            self._tokens.pop(0)
            return True
        return False

    def _expect(self, token: str, want: str) -> None:
        if not self._take(token):
            raise BadInput(f"unexpected {self._tokens[0]}: expected {want}")


def _unquoted(token: str) -> str:
    def replaced(found: re.Match[str]) -> str:
        short, byte, four, eight, octal, other = found.groups()
        if short:
            return _ESCAPED[short]
        if four or eight:
            code = int(four or eight, 16)
            if code > 0x10FFFF or 0xD800 <= code < 0xE000:
                raise BadInput(f"{token}: invalid input")
            return chr(code)
        if byte or octal:
            code = int(byte, 16) if byte else int(octal, 8)
            return chr(code if code < 0x80 else 0xDC00 + code)  # a raw byte, as surrogateescape writes it
        raise BadInput(f"{token}: invalid input ({other})")

    if "\n" in token:
        raise BadInput(f"{token}: invalid input")
    text = _ESCAPE.sub(replaced, token[1:-1])
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8")  # \xHH are bytes, which must join to UTF-8
    except UnicodeError:
        raise BadInput(f"{token}: invalid input") from None
