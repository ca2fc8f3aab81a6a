"""Routes about the program itself: health, readiness, reload, its metrics, the overview."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.responses import PlainTextResponse, Response

from watchkeeper.model.errors import BadInput
from watchkeeper.model.metrics import exposition
from watchkeeper.net.answers import json_answer
from watchkeeper.net.routing import ADMIN, OPEN, READ, Call, Route

_EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Control:
    """What these routes may do.

    ready    whether every part has started and none has begun to stop
    reload   takes in changed files; raises BadInput when they are bad
    page     the body of GET /api/overview
    """

    ready: Callable[[], bool]
    reload: Callable[[], Awaitable[None]]
    page: Callable[[], dict[str, Any]]


def routes(control: Control) -> list[Route]:
    """Give the routes; paths and texts are Prometheus' where it has them."""

    async def healthy(_call: Call) -> Response:
        return PlainTextResponse("watchkeeper is Healthy.\n")

    async def ready(_call: Call) -> Response:
        if control.ready():
            return PlainTextResponse("watchkeeper is Ready.\n")
        return PlainTextResponse("Service Unavailable\n", 503, {"retry-after": "1"})

    async def reload(_call: Call) -> Response:
        try:
            await control.reload()
        except BadInput as error:
            return PlainTextResponse(f"failed to reload config: {error}\n", 500)
        return PlainTextResponse("")

    async def metrics(_call: Call) -> Response:
        return Response(await asyncio.to_thread(exposition), media_type=_EXPOSITION)

    async def overview(_call: Call) -> Response:
        return json_answer(control.page())

    return [
        Route("/-/healthy", ("GET",), healthy, OPEN, "Whether the process answers."),
        Route("/-/ready", ("GET",), ready, OPEN, "Whether it has read its data and takes more."),
        Route("/-/reload", ("POST", "PUT"), reload, ADMIN, "Takes in changed files."),
        Route("/metrics", ("GET",), metrics, READ, "Its own metrics, text format 0.0.4."),
        Route("/api/overview", ("GET",), overview, READ, "Services, alerts, ingest and storage, on one page."),
    ]
