"""The kinds of values that alertmanager.yml's fields hold, each with Alertmanager's verdict on what is valid."""

import re
from collections.abc import Callable
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, PlainValidator, SecretStr

from watchkeeper.model.duration import parse_duration
from watchkeeper.model.errors import BadInput
from watchkeeper.model.fields import none_is_empty
from watchkeeper.model.gotemplate import Template
from watchkeeper.notify.matcher import LabelMatcher, compile_go, ordered, parse_matchers
from watchkeeper.notify.template import FUNCTIONS

SECRET_TOKEN = "<secret>"  # noqa: S105 — what Alertmanager shows instead of a secret
_LEGACY_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
ItemT = TypeVar("ItemT")


class DurationMark:
    """Marks a field that holds milliseconds and is written as a duration."""


def _refusing(read: Callable[[Any], ItemT]) -> Callable[[Any], ItemT]:
    """Turn our BadInput into the ValueError that pydantic collects."""

    def reading(value: Any) -> ItemT:
        try:
            return read(value)
        except BadInput as error:
            raise ValueError(str(error)) from None

    return reading


def _duration(value: Any) -> Any:
    if isinstance(value, int) or value is None:
        return value
    if not isinstance(value, str):
        raise BadInput("a duration such as 5m")
    return parse_duration(value)


def _matcher_list(value: Any) -> tuple[LabelMatcher, ...]:
    if isinstance(value, tuple):
        return value
    lines = [value] if isinstance(value, str) else value or []
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise BadInput("a list of matchers")
    return ordered(matcher for line in lines for matcher in parse_matchers(line))


def _legacy_names(value: dict[str, str]) -> dict[str, str]:
    for name in value:
        if _LEGACY_NAME.fullmatch(name) is None:
            raise ValueError(f"invalid label name {name!r}")
    return value


def _regexes(value: dict[str, str]) -> dict[str, str]:
    for pattern in _legacy_names(value).values():
        _refusing(compile_go)(f"^(?:{pattern})$")
    return value


def _url(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if text == SECRET_TOKEN:
        return value
    try:
        parts = urlsplit(text)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        raise ValueError("a URL") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"unsupported scheme {parts.scheme!r} for URL")
    if not host or any(ord(character) < 0x20 or character == "\x7f" for character in text):
        raise ValueError("missing host for URL")
    return value


def _shown_url(value: str | None) -> str:
    return "" if value is None else _url(SecretStr(value)).get_secret_value()


def _url_or_template(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if "{{" not in text:
        return _url(value)
    try:
        Template.parse("", text, FUNCTIONS)
    except BadInput as error:
        raise ValueError(f"invalid template syntax: {error}") from None
    return value


def _host_and_port(value: str | None) -> str:
    """Check as Go's net.SplitHostPort does."""
    if not value:
        return ""
    found = re.fullmatch(r"(?:\[([^\[\]]*)\]|([^\[\]:]*)):([^:\[\]]*)", value)
    if found is None:
        colons = value.rpartition("]")[2].count(":")
        fault = "too many colons in address" if colons > 1 else "missing port in address"
        raise ValueError(f"address {value}: {fault}")
    if not found.group(3):
        raise ValueError(f'address "{value}": port cannot be empty')
    return value


Duration = Annotated[int, BeforeValidator(_refusing(_duration)), DurationMark()]
MaybeDuration = Annotated[int | None, BeforeValidator(_refusing(_duration)), DurationMark()]
MatcherLines = Annotated[tuple[LabelMatcher, ...], PlainValidator(_refusing(_matcher_list))]
LabelEquals = Annotated[dict[str, str], BeforeValidator(none_is_empty({})), AfterValidator(_legacy_names)]
LabelRegexes = Annotated[dict[str, str], BeforeValidator(none_is_empty({})), AfterValidator(_regexes)]
SecretUrl = Annotated[SecretStr, AfterValidator(_url)]
SecretTemplateUrl = Annotated[SecretStr, AfterValidator(_url_or_template)]
Url = Annotated[str, BeforeValidator(_shown_url)]
HostPort = Annotated[str, BeforeValidator(_host_and_port)]


def label_name(name: str) -> str:
    """Give the name back when it may name a label: anything that is not empty."""
    if not name:
        raise ValueError('invalid label name ""')
    return name


LabelName = Annotated[str, AfterValidator(label_name)]
