"""Answers that every API shares, and the exception that stands for one."""

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import Response

from watchkeeper.model.errors import WatchkeeperError


class Fault(WatchkeeperError):
    """An answer other than 2xx, raised where it is found out; the route's own renderer gives it its shape.

    reason   a word for the counter of refusals
    headers  sent with the answer
    """

    def __init__(self, status: int, text: str, reason: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status, self.reason, self.headers = status, reason, dict(headers or {})


def json_answer(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Give content as JSON."""
    body = orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS)
    return Response(body, status, headers, media_type="application/json")


def message_answer(status: int, text: str) -> Response:
    """Give an error in Grafana's shape, the default of routes that name no other."""
    return json_answer({"message": text}, status)


def json_object(body: bytes) -> dict[str, Any]:
    """Read a JSON object that came from outside.

    raises  Fault 400 when it is no JSON, or no object
    """
    try:
        content = orjson.loads(body or b"null")
    except orjson.JSONDecodeError as error:
        raise Fault(400, f"cannot read body: got {error}, want JSON") from None
    if not isinstance(content, dict):
        raise Fault(400, f"cannot read body: got {_kind(content)}, want a JSON object")
    return content


def text_field(content: Mapping[str, Any], name: str, *, default: str | None = None, length_max: int = 190) -> str:
    """Take a text field of a JSON object: one line, no control characters.

    default  for a missing or null field; None: the field must be there
    raises   Fault 400 naming the field
    """
    value = content.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise Fault(400, f"cannot read {name}: got {_kind(value)}, want text")
    if len(value) > length_max:
        raise Fault(400, f"cannot read {name}: got {len(value)} characters, want at most {length_max}")
    if not value.isprintable():
        raise Fault(400, f"cannot read {name}: got control characters, want one line of text")
    return value


def secret_field(content: Mapping[str, Any], name: str) -> str:
    """Take a password field: any characters, bounded; its value is never part of an error."""
    value = content.get(name)
    if not isinstance(value, str) or not value:
        raise Fault(400, f"cannot read {name}: want text that is not empty")
    if len(value) > 1024:
        raise Fault(400, f"cannot read {name}: got {len(value)} characters, want at most 1024")
    return value


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    return "an object" if isinstance(value, dict) else "a list" if isinstance(value, list) else repr(value)[:60]
