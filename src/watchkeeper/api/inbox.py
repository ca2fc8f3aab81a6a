"""The inbox: notifications that were kept here, for people to read."""

import orjson
from starlette.responses import Response

from watchkeeper.net.answers import Fault, json_answer
from watchkeeper.net.routing import READ, Call, Route
from watchkeeper.notify.desk import Desk

_LIMIT_DEFAULT, _LIMIT_MAX = 100, 1000


def routes(desk: Desk) -> list[Route]:
    """Give the inbox's route."""

    async def messages(call: Call) -> Response:
        kept = await desk.inbox(_limit(call.first("limit")))
        return json_answer(
            [
                {
                    "id": one.id,
                    "received_ms": one.received_ms,
                    "receiver": one.receiver,
                    "status": one.status,
                    "message": orjson.Fragment(one.message),
                }
                for one in kept
            ]
        )

    return [Route("/api/inbox", ("GET",), messages, READ, "Notifications kept in the inbox, newest first.")]


def _limit(text: str) -> int:
    if not text:
        return _LIMIT_DEFAULT
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= _LIMIT_MAX):
        raise Fault(400, f"cannot read limit: got {text[:20]!r}, want 1 to {_LIMIT_MAX}")
    return int(text)
