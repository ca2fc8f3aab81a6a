"""What is posted to Alertmanager's API: alerts and silences, read and checked in its order and its words."""

import re
from calendar import timegm
from typing import Any
from urllib.parse import urlsplit

import orjson

from watchkeeper.model.alert import Alert
from watchkeeper.model.errors import BadInput
from watchkeeper.notify.alert_book import Incoming
from watchkeeper.notify.gotext import quoted
from watchkeeper.notify.silence import Silence, silence_matcher

_ZERO_YEAR_MS = -62_135_596_800_000
_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?([Zz]|[+-]\d\d:?\d\d)?)?", re.ASCII
)
_KINDS = {bool: "bool", int: "number", float: "number", str: "string", list: "array", dict: "object"}


class BodyFault(BadInput):
    """A body that does not fit the OpenAPI document.

    code  what stands in the answer: 400, or go-openapi's own number for the rule that was broken
    """

    def __init__(self, status: int, code: int, text: str) -> None:
        super().__init__(text)
        self.status, self.code = status, code


def read_alerts(body: bytes, now_ms: int, resolve_timeout_ms: int) -> tuple[list[Incoming], list[str]]:
    """Read posted alerts: the good ones, and what is wrong with the others.

    raises  BodyFault when the body as a whole cannot be used
    """
    if not body:
        raise BodyFault(422, 602, "alerts in body is required")
    content = _json_of(body, "alerts")
    if content is None:
        return [], []
    if not isinstance(content, list):
        raise _unfit("alerts", content, "value of type models.PostableAlerts")
    drafts = [_Draft(one) for one in content]
    for at, draft in enumerate(drafts):
        draft.check_schema(at)
    incoming, refused = [], []
    for draft in drafts:
        try:
            incoming.append(draft.alert(now_ms, resolve_timeout_ms))
        except BadInput as error:
            refused.append(str(error))
    return incoming, refused


class _Draft:
    """One posted alert, its types checked."""

    def __init__(self, content: Any) -> None:
        if content is None:
            content = {}
        if not isinstance(content, dict):
            raise _unfit("alerts", content, "value of type models.PostableAlert")
        self._labels = _label_set(content.get("labels"), "Alert.labels")
        self._annotations = _label_set(content.get("annotations"), ".annotations") or {}
        self._starts_ms = _time_of(content.get("startsAt"), "alerts")
        self._ends_ms = _time_of(content.get("endsAt"), "alerts")
        self._url = _text_of(content.get("generatorURL"), "alerts", "Alert.generatorURL")

    def check_schema(self, at: int) -> None:
        if self._url and not _is_uri(self._url):
            raise BodyFault(422, 601, f"{at}.generatorURL in body must be of type uri: {quoted(self._url)}")
        if self._labels is None:
            raise BodyFault(422, 602, f"{at}.labels in body is required")

    def alert(self, now_ms: int, resolve_timeout_ms: int) -> Incoming:
        """Fill in missing times and check the rest.

        raises  BadInput
        """
        starts_ms = self._starts_ms
        if starts_ms is None:
            starts_ms = now_ms if self._ends_ms is None else self._ends_ms
        ends_ms = now_ms + resolve_timeout_ms if self._ends_ms is None else self._ends_ms
        labels = {name: value for name, value in (self._labels or {}).items() if value}
        if ends_ms < starts_ms:
            raise BadInput("start time must be before end time")
        if not labels:
            raise BadInput("at least one label pair required")
        for what, names in (("label set", labels), ("annotations", self._annotations)):
            if "" in names:
                raise BadInput(f'invalid {what}: invalid name ""')
        alert = Alert(labels, self._annotations, starts_ms, ends_ms, now_ms, self._url)
        return Incoming(alert, timed=self._ends_ms is None)


def read_silence(body: bytes, now_ms: int) -> Silence:
    """Read a posted silence.

    raises  BodyFault when the body cannot be used; BadInput when what it says makes no sense
    """
    if not body:
        raise BodyFault(422, 602, "silence in body is required")
    content = _json_of(body, "silence")
    content = {} if content is None else content
    if not isinstance(content, dict):
        raise _unfit("silence", content, "value of type models.PostableSilence")
    comment = _text_of(content.get("comment"), "silence", "Silence.comment", required="comment" not in content)
    starts_ms, ends_ms = (_time_of(content.get(name), "silence") for name in ("startsAt", "endsAt"))
    created_by, silence_id = (_text_of(content.get(name), "silence", name) for name in ("createdBy", "id"))
    annotations = _label_set(content.get("annotations"), "Silence.annotations") or {}
    matchers = content.get("matchers")
    for name in ("comment", "createdBy", "endsAt", "matchers", "startsAt"):
        if content.get(name) is None:
            raise BodyFault(422, 602, f"{name} in body is required")
        if name == "matchers":
            _check_matchers(matchers)
    starts_ms, ends_ms = (_ZERO_YEAR_MS if one is None else one for one in (starts_ms, ends_ms))
    if starts_ms >= ends_ms:
        raise BadInput("Failed to create silence: start time must be before end time")
    if ends_ms < now_ms:
        raise BadInput("Failed to create silence: end time can't be in the past")
    made = tuple(
        silence_matcher(
            at, one["name"], one["value"], is_regex=one["isRegex"], is_equal=one.get("isEqual") is not False
        )
        for at, one in enumerate(matchers or ())
    )
    return Silence(silence_id, made, starts_ms, ends_ms, created_by, comment, annotations=annotations)


def _check_matchers(matchers: Any) -> None:
    if not isinstance(matchers, list):
        raise _unfit("silence", matchers, "struct field .matchers of type models.Matchers")
    if not matchers:
        raise BodyFault(422, 612, "matchers in body should have at least 1 items")
    for at, one in enumerate(matchers):
        if not isinstance(one, dict):
            raise _unfit("silence", one, "struct field .matchers of type models.Matcher")
        for name, kind in (("isRegex", bool), ("name", str), ("value", str)):
            if one.get(name) is None:
                raise BodyFault(422, 602, f"matchers.{at}.{name} in body is required")
            if not isinstance(one[name], kind):
                raise _unfit("silence", one[name], f"struct field .matchers.{name} of type {_KINDS[kind]}")
        if not isinstance(one.get("isEqual"), bool | None):
            raise _unfit("silence", one["isEqual"], "struct field .matchers.isEqual of type bool")


def _json_of(body: bytes, what: str) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        at = error.pos
        text = body.decode("utf-8", "replace")
        if at >= len(text.rstrip()):
            reason = "unexpected EOF"
        else:
            reason = f"invalid character {text[at]!r} looking for beginning of value"
        raise BodyFault(400, 400, f'parsing {what} body from "" failed, because {reason}') from None


def _unfit(what: str, value: Any, target: str) -> BodyFault:
    kind = _KINDS.get(type(value), "null")
    target = target.replace("value of type", "value of type")
    return BodyFault(
        400, 400, f'parsing {what} body from "" failed, because json: cannot unmarshal {kind} into Go {target}'
    )


def _label_set(value: Any, where: str) -> dict[str, str] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise _unfit("alerts", value, f"struct field {where} of type models.LabelSet")
    for name, text in value.items():
        if text is None:
            value = {**value, name: ""}
        elif not isinstance(text, str):
            raise _unfit("alerts", text, f"struct field {where}.{name} of type string")
    return value


def _text_of(value: Any, what: str, where: str, *, required: bool = False) -> str:
    if value is None or required:
        return ""
    if not isinstance(value, str):
        raise _unfit(what, value, f"struct field {where} of type string")
    return value


def _time_of(value: Any, what: str) -> int | None:
    """Read a date-time as Unix milliseconds; None for a missing one and for Go's zero time.

    raises  BodyFault
    """
    text = _text_of(value, what, "time")
    if not text:
        return None
    found = _TIME.fullmatch(text)
    time_ms = None if found is None else _unix_ms(found)
    if time_ms is None:
        reason = f'parsing time {quoted(text)} as "2006-01-02": cannot parse {quoted(text)} as "2006"'
        raise BodyFault(400, 400, f'parsing {what} body from "" failed, because {reason}')
    return None if time_ms == _ZERO_YEAR_MS else time_ms


def _unix_ms(found: re.Match[str]) -> int | None:
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 60 and year):
        return None
    fraction = int((found[7] or "0").ljust(9, "0")[:3])
    zone = found[8] or "Z"
    offset_s = 0
    if zone not in "Zz":
        offset_s = (int(zone[1:3]) * 60 + int(zone[-2:])) * (-60 if zone[0] == "-" else 60)
    return (timegm((year, month, day, hour, minute, second)) - offset_s) * 1000 + fraction


def _is_uri(text: str) -> bool:
    """Say whether Go's url.ParseRequestURI would take it."""
    if any(ord(character) < 0x21 or character == "\x7f" for character in text):
        return False
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    return text.startswith("/") or bool(parts.scheme)
