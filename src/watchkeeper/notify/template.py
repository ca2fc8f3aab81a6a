"""Alertmanager's template files and functions; what they see is in texts.py.

source  Alertmanager docs, Notification template reference; default texts compared with Alertmanager 0.33's
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.resources import files as resources
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote_plus, urlsplit
from zoneinfo import ZoneInfo

from watchkeeper.model import humanize
from watchkeeper.model.errors import BadInput
from watchkeeper.model.gotemplate import Function, GoTime, Record, SafeText, Template, texts
from watchkeeper.notify.gotext import ZERO_TIME, json_bytes, rfc3339

ZERO_MS = -62_135_596_800_000
_CACHED_MAX = 512
_OWN = ("default.tmpl", "email.tmpl")


class Templates:
    """Template files, parsed; texts of a configuration are parsed when they are first used."""

    def __init__(self, parsed: Sequence[Template]) -> None:
        self._parsed = parsed
        self._known: dict[str, Template] = {}

    @classmethod
    def load(cls, patterns: Iterable[str] = ()) -> Self:
        """Read the default templates and those of the files that the patterns name.

        raises  BadInput naming the file, with Go's text
        """
        parsed: list[Template] = []
        for name in _OWN:
            text = resources("watchkeeper.notify").joinpath("templates", name).read_text(encoding="utf-8")
            parsed.append(Template.parse(name, text, FUNCTIONS, among=parsed[-1:]))
        for pattern in patterns:
            for path in sorted(_matching(pattern)):
                try:
                    text = path.read_text(encoding="utf-8")
                except (OSError, UnicodeDecodeError) as error:
                    raise BadInput(f"cannot read template {path}: {error}") from None
                parsed.append(Template.parse(path.name, text, FUNCTIONS, among=parsed[-1:]))
        return cls(parsed)

    def execute(self, text: str, data: Any, *, html: bool = False) -> str:
        """Give the text that a template makes of data.

        html    whether it is HTML, in which values are escaped by where they stand

        raises  BadInput with Go's text
        """
        if "{{" not in text:
            return text
        template = self._known.get(text)
        if template is None:
            template = Template.parse("", text, FUNCTIONS, among=self._parsed[-1:])
            if len(self._known) >= _CACHED_MAX:
                self._known.clear()
            self._known[text] = template
        return template.execute(data, missing_key="zero", html=html)


def _matching(pattern: str) -> list[Path]:
    """Give the files that a pattern names; one that names none is no fault, as in Alertmanager."""
    path = Path(pattern)
    if not any(character in pattern for character in "*?["):
        return [path] if path.exists() else []
    if pattern.count("[") > pattern.count("]"):
        raise BadInput("syntax error in pattern")
    root = Path(path.anchor or ".")
    return list(root.glob(str(path.relative_to(root)) if path.anchor else pattern))


# -- functions

_JSON_NAMES = {"NotificationReason": "notification_reason"}  # the others are as in Go, with a small first letter


def _join(separator: str, values: Sequence[Any]) -> str:
    if isinstance(values, str) or not all(isinstance(one, str) for one in values):
        raise BadInput("wrong type of value for join")
    return separator.join(values)


def _as_json(value: Any) -> Any:
    if isinstance(value, Record):
        return {
            _JSON_NAMES.get(name) or name[0].lower() + name[1:]: _as_json(one) for name, one in value.fields.items()
        }
    if isinstance(value, GoTime):
        return ZERO_TIME if value.time_ms == ZERO_MS else rfc3339(value.time_ms)
    if isinstance(value, Mapping):
        return {str(key): _as_json(value[key]) for key in sorted(value)}
    return [_as_json(one) for one in value] if isinstance(value, list | tuple) else value


def _date(layout: str, moment: GoTime) -> str:
    return moment.format(layout)


def _in_zone(name: str, moment: GoTime) -> GoTime:
    try:
        zone = ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise BadInput(f"unknown time zone {name}") from None
    return moment.in_zone(zone)


def _since(moment: GoTime) -> str:
    return _go_duration(time.time_ns() - moment.time_ms * 1_000_000)


def _go_duration(nanoseconds: int) -> str:
    """Write a duration as Go prints one: 1h2m3.5s."""
    sign, rest = ("-" if nanoseconds < 0 else ""), abs(nanoseconds)
    if rest < 1_000_000_000:
        return f"{sign}{rest / 1e6:g}ms" if rest else "0s"
    seconds, fraction = divmod(rest, 1_000_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    shown = f"{seconds}.{fraction:09d}".rstrip("0").rstrip(".") + "s"
    return sign + (f"{hours}h{minutes}m{shown}" if hours else f"{minutes}m{shown}" if minutes else shown)


def _safe_url(text: str) -> SafeText:
    return SafeText(text if urlsplit(text).scheme in ("", "http", "https", "mailto") else "#ZgotmplZ")


def _dictionary(*pairs: Any) -> dict[str, Any]:
    if len(pairs) % 2:
        raise BadInput("dict expects an even number of arguments")
    return {str(key): value for key, value in zip(pairs[::2], pairs[1::2], strict=True)}


def _of_text(call: Callable[..., Any], count: int = 1) -> Function:
    return Function(call, ("string",) * count)


FUNCTIONS: dict[str, Function] = {
    "toUpper": _of_text(str.upper),
    "toLower": _of_text(str.lower),
    "title": _of_text(texts.title),
    "trimSpace": _of_text(str.strip),
    "join": Function(_join, ("string", "any")),
    "match": _of_text(texts.matches, 2),
    "reReplaceAll": _of_text(texts.replace_all, 3),
    "safeHtml": _of_text(SafeText),
    "safeUrl": _of_text(_safe_url),
    "urlUnescape": _of_text(unquote_plus),
    "stringSlice": Function(lambda *values: list(values), (), "string"),
    "date": Function(_date, ("string", "time.Time")),
    "tz": Function(_in_zone, ("string", "time.Time")),
    "since": Function(_since, ("time.Time",)),
    "humanizeDuration": Function(humanize.humanize_duration, ("any",)),
    "toJson": Function(lambda value: json_bytes(_as_json(value)).decode(), ("any",)),
    "list": Function(lambda *values: list(values), (), "any"),
    "append": Function(lambda values, *more: [*values, *more], ("any",), "any"),
    "dict": Function(_dictionary, (), "any"),
}
