"""Heartbeats that come in, and tests of receivers."""

from dataclasses import asdict

from starlette.responses import Response

from watchkeeper.net.answers import Fault, json_answer
from watchkeeper.net.routing import EDIT, METRICS_WRITE, READ, Call, Route
from watchkeeper.notify.desk import Desk
from watchkeeper.notify.gotext import rfc3339
from watchkeeper.notify.heartbeats import Heartbeats, shown


def routes(heartbeats: Heartbeats, desk: Desk) -> list[Route]:
    """Give the routes of heartbeats and of tests of receivers."""

    async def beat(call: Call) -> Response:
        name = call.path["name"]
        if not await heartbeats.beat(name):
            raise Fault(404, f"cannot take heartbeat {name[:100]!r}: want one of heartbeats.expected")
        return json_answer({"message": "Heard"})

    async def list_heartbeats(call: Call) -> Response:
        del call
        return json_answer([shown(one, rfc3339) for one in heartbeats.beats()])

    async def test_receiver(call: Call) -> Response:
        name = call.path["name"]
        trials = await desk.rehearse(name, call.who.name)
        if trials is None:
            raise Fault(404, f"cannot test receiver {name[:100]!r}: want one of alertmanager.yml")
        good = bool(trials) and not any(one.error for one in trials)
        return json_answer({"receiver": name, "delivered": good, "integrations": [asdict(one) for one in trials]})

    return [
        Route("/api/heartbeat/{name}", ("POST",), beat, METRICS_WRITE, "Takes a heartbeat."),
        Route("/api/heartbeats", ("GET",), list_heartbeats, READ, "Heartbeats that are expected, and when they came."),
        Route("/api/receivers/{name}/test", ("POST",), test_receiver, EDIT, "Sends a test alert through a receiver."),
    ]
