"""The gateway's REST routes, with `x-api-key`; every attempt is audited, refused ones too."""

from collections.abc import Callable
from datetime import UTC, datetime

from starlette.responses import Response

from watchkeeper import __version__
from watchkeeper.gateway.overview import Overview
from watchkeeper.model.clock import Clock
from watchkeeper.net.answers import json_answer
from watchkeeper.net.routing import AGENT, OPEN, Call, Route


def routes(overview: Overview, clock: Clock, ready: Callable[[], bool] = lambda: True) -> list[Route]:
    """Give the gateway's routes.

    ready  whether the program is past its start and not on its way down
    """

    async def health(_call: Call) -> Response:
        is_ready = ready()
        now = datetime.fromtimestamp(clock.now_ms() // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        word = "healthy" if is_ready else "unhealthy"
        content = {"status": word, "service": "monitoring-gateway", "timestamp": now, "version": __version__}
        return json_answer(content, 200 if is_ready else 503)

    async def monitoring_overview(_call: Call) -> Response:
        return json_answer(await overview.whole())

    async def service_health(call: Call) -> Response:
        name = call.path["service"]
        found = await overview.one(name)
        if found is None:
            return json_answer({"error": f"no service {name[:100]!r}", "services": overview.names()}, 404)
        return json_answer(found)

    return [
        Route("/health", ("GET",), health, OPEN, "Whether the gateway itself is well."),
        Route(
            "/api/monitoring/overview",
            ("GET",),
            monitoring_overview,
            AGENT,
            "The state of all services, with reasons.",
            audited=True,
            error=_fault,
        ),
        Route(
            "/api/monitoring/health/{service}",
            ("GET",),
            service_health,
            AGENT,
            "The state of one service: its targets, alerts and errors.",
            audited=True,
            error=_fault,
        ),
    ]


def _fault(status: int, text: str) -> Response:
    return json_answer({"error": text}, status)
