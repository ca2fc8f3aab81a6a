"""Prometheus' JSON envelope: {"status", "data", "errorType", "error", "warnings", "infos"}.

source  Prometheus 3.5, web/api/v1/api.go
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from typing import Any

import orjson
from starlette.responses import PlainTextResponse, Response

from watchkeeper.model.errors import BadInput, OverLimit, Refused, WatchkeeperError
from watchkeeper.net.routing import Call, Handler
from watchkeeper.query.limits import Canceled

_JSON = "application/json"
BEFORE_DATA = b'{"status":"success","data":'
_TYPE_OF_STATUS = {400: "bad_data", 404: "not_found", 406: "not_acceptable", 422: "execution", 500: "internal"}


def success(data: Any, warnings: Sequence[str] = (), infos: Sequence[str] = ()) -> Response:
    """Answer 200 with data that orjson can write."""
    return success_bytes(orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY), warnings, infos)


def success_bytes(data: bytes, warnings: Sequence[str] = (), infos: Sequence[str] = ()) -> Response:
    """Answer 200 with data that is JSON already."""
    return Response(b"".join((BEFORE_DATA, data, after_data(warnings, infos))), media_type=_JSON)


def after_data(warnings: Sequence[str], infos: Sequence[str]) -> bytes:
    """Give what stands behind the data of an answer."""
    parts = [
        b',"' + name + b'":' + orjson.dumps(list(notes))
        for name, notes in ((b"warnings", warnings), (b"infos", infos))
        if notes
    ]
    return b"".join((*parts, b"}"))


def failure(status: int, kind: str, text: str, headers: dict[str, str] | None = None) -> Response:
    """Answer an error; kind is Prometheus' errorType."""
    body = orjson.dumps({"status": "error", "errorType": kind, "error": text})
    return Response(body, status, media_type=_JSON, headers=headers)


def error(status: int, text: str) -> Response:
    """Answer an error of the gate's in this API's style (a Route's `error`)."""
    if status == 405:
        return PlainTextResponse("Method Not Allowed\n", status)
    kind = _TYPE_OF_STATUS.get(status, "unavailable" if status >= 500 else "bad_data")
    return failure(status, kind, text)


def failed(fault: WatchkeeperError) -> Response:
    """Answer what went wrong while a query ran: 422 for the query's fault, 503 for a timeout or overload."""
    status, kind = kind_of(fault)
    headers = {"Retry-After": str(fault.retry_after_s)} if isinstance(fault, Refused) else None
    return failure(status, kind, str(fault), headers)


def kind_of(fault: WatchkeeperError) -> tuple[int, str]:
    """Give the status and Prometheus' errorType of what went wrong while a query ran."""
    if isinstance(fault, Canceled):
        return 499, "canceled"
    if isinstance(fault, Refused):
        return 503, "timeout" if "timed out" in str(fault) else "unavailable"
    if isinstance(fault, OverLimit | BadInput):
        return 422, "execution"
    return 500, "internal"


def refusing(handler: Callable[[Call], Awaitable[Response]]) -> Handler:
    """Answer parameters that cannot be used with 400 bad_data."""

    @wraps(handler)
    async def guarded(call: Call) -> Response:
        try:
            return await handler(call)
        except BadInput as fault:
            return failure(400, "bad_data", str(fault))
        except WatchkeeperError as fault:
            return failed(fault)

    return guarded
