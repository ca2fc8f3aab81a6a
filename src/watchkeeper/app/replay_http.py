"""POST /api/replay: the time machine over the history of the server that runs."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import BeforeValidator
from starlette.responses import Response

from watchkeeper.app.config import Loaded
from watchkeeper.app.replay import Plan, Replayed, replay
from watchkeeper.app.replay_json import moment, replays_json
from watchkeeper.model.clock import Clock
from watchkeeper.model.document import Settings, parse, setting
from watchkeeper.model.doors import MetricReader
from watchkeeper.model.errors import BadInput
from watchkeeper.net.answers import json_answer
from watchkeeper.net.routing import EDIT, Call, Route
from watchkeeper.notify.settings import read_config
from watchkeeper.notify.silence import Silence
from watchkeeper.query.limits import Budget
from watchkeeper.query.traffic import Asked, Traffic
from watchkeeper.rules.files import parse_rules

_Texts = Annotated[tuple[str, ...], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]


class Tried(Settings):
    """Rules and routes; what is left out is as it is in force."""

    rules: _Texts = setting((), "Texts of rule files.")
    alertmanager: str = setting("", "Text of an alertmanager.yml.")


class Wanted(Tried):
    """The body of the request."""

    from_: str = setting("1d", "RFC 3339, Unix seconds, or so long ago.", alias="from")
    to: str = setting("0s", "Likewise.")
    against: Tried | None = setting(None, "What to compare with.")


@dataclass(frozen=True, slots=True)
class TimeMachine:
    """Replays one at a time, taking its turn among queries.

    loaded    the configuration in force
    silences  those that are stored
    """

    reader: MetricReader
    traffic: Traffic
    clock: Clock
    loaded: Callable[[], Loaded]
    silences: Callable[[], Sequence[Silence]]
    timeout_ms: int
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def replay(self, call: Call) -> Response:
        """Answer POST /api/replay: what rules and routes would have told whom."""
        if not call.body:  # curl -d alone says that its body is a form
            raise BadInput("cannot replay: got no body, want a JSON object with Content-Type: application/json")
        wanted = parse(call.body, "body").read_as(Wanted)
        now_ms = self.clock.now_ms()
        start_ms, end_ms = moment(wanted.from_, now_ms), moment(wanted.to, now_ms)
        plans = [self._plan(one, name) for one, name in ((wanted, "body"), (wanted.against, "against")) if one]
        budget = Budget(1, self.timeout_ms / 1000)
        asked = Asked("replay", "replay", call.who.name, call.address, start_ms, end_ms, 0, budget)

        def work() -> list[Replayed]:
            silences = self.silences()
            return [replay(self.reader, one, start_ms, end_ms, silences, lambda _: budget.check()) for one in plans]

        async with self._turn:
            done = await self.traffic.run(asked, work, call.is_gone)
        return json_answer(await asyncio.to_thread(replays_json, done))

    def _plan(self, tried: Tried, name: str) -> Plan:
        """Take the texts that are given, else what is in force.

        raises  BadInput with every fault
        """
        loaded = self.loaded()
        shared = loaded.prometheus.global_
        given = tuple(parse_rules(text, f"{name}.rules[{at}]") for at, text in enumerate(tried.rules))
        routes = read_config(tried.alertmanager, f"{name}.alertmanager") if tried.alertmanager else loaded.alertmanager
        return Plan(given or loaded.rule_files, routes, shared.evaluation_interval, dict(shared.external_labels))


def routes(machine: TimeMachine) -> list[Route]:
    """Give the route."""
    summary = "Say what rules and routes would have told whom over stored history."
    return [Route("/api/replay", ("POST",), machine.replay, EDIT, summary)]
