import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.datastructures import Headers
from starlette.responses import Response

from watchkeeper.api import alertmanager, inbox
from watchkeeper.model.alert import Alert
from watchkeeper.model.clock import SystemClock
from watchkeeper.net.client import Client
from watchkeeper.net.routing import EDIT, METRICS_WRITE, OPEN, READ, Call, Identity, Role, Route
from watchkeeper.notify.desk import Desk, DeskSettings
from watchkeeper.store.state.db import StateStore


class Api:
    """The routes without a server."""

    def __init__(self, folder: Path) -> None:
        self.state = StateStore(f"sqlite:///{folder / 'state.db'}")
        self.desk = Desk(DeskSettings(), self.state, SystemClock(), Client("test"), "http://wk")
        self.routes = [*alertmanager.routes(self.desk), *inbox.routes(self.desk)]

    def find(self, method: str, path: str) -> Route:
        return next(one for one in self.routes if one.path == path and method in one.methods)

    async def call(self, method: str, path: str, body: bytes = b"", *params: tuple[str, str], **named: str) -> Response:
        async def stays() -> bool:
            return False

        headers = Headers({"content-type": "application/json"})
        who = Identity("test", Role.ADMIN)
        return await self.find(method, path).handler(
            Call(method, path, named, params, headers, body, who, "127.0.0.1", stays)
        )


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    made = Api(tmp_path_factory.mktemp("api"))
    yield made
    made.state.close()


def test_who_may_what() -> None:
    routes = alertmanager.routes(None)  # type: ignore[arg-type] # only their declarations are looked at
    access = {(one.methods[0], one.path): one.access for one in routes}
    for prefix in ("", "/alertmanager"):
        assert access["GET", f"{prefix}/api/v2/alerts"] == READ
        assert access["POST", f"{prefix}/api/v2/alerts"] == METRICS_WRITE
        assert access["POST", f"{prefix}/api/v2/silences"] == EDIT
        assert access["DELETE", f"{prefix}/api/v2/silence/{{silence_id}}"] == EDIT
    assert access["GET", "/alertmanager/-/healthy"] == OPEN


json_like = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 60), 1 << 60) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
alert_like = st.fixed_dictionaries(
    {},
    optional={
        "labels": st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3) | json_like,
        "annotations": json_like,
        "startsAt": st.sampled_from(["2026-11-22T00:00:00Z", "0000-00-00T00:00:00Z", "9999-12-31T23:59:59.9Z"])
        | json_like,
        "endsAt": st.sampled_from(["2026-02-31T00:00:00+99:99", "0001-01-01T00:00:00Z"]) | json_like,
        "generatorURL": json_like,
    },
)
silence_like = st.fixed_dictionaries(
    {},
    optional={
        "matchers": st.lists(
            st.fixed_dictionaries(
                {"name": st.text(max_size=3), "value": st.text(max_size=5), "isRegex": st.booleans()},
                optional={"isEqual": st.booleans() | json_like},
            )
            | json_like,
            max_size=3,
        )
        | json_like,
        "startsAt": st.just("2026-11-22T00:00:00Z") | json_like,
        "endsAt": st.just("2096-11-22T00:00:00Z") | json_like,
        "createdBy": st.text(max_size=5) | json_like,
        "comment": st.text(max_size=5) | json_like,
        "id": json_like,
    },
)
bodies = st.one_of(
    st.binary(max_size=40),
    json_like.map(orjson.dumps),
    st.lists(alert_like, max_size=3).map(orjson.dumps),
    silence_like.map(orjson.dumps),
)


@settings(max_examples=150, deadline=None)
@given(bodies, st.sampled_from(["/api/v2/alerts", "/api/v2/silences"]))
def test_any_body_gets_an_answer_in_the_apis_words(api: Api, body: bytes, path: str) -> None:
    answer = asyncio.run(api.call("POST", path, body))
    assert answer.status_code in (200, 400, 404, 422)
    if answer.body:
        content: Any = orjson.loads(answer.body)
        assert isinstance(content, str) or set(content) in ({"silenceID"}, {"code", "message"})


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["/api/v2/alerts", "/api/v2/alerts/groups", "/api/v2/silences"]),
    st.lists(
        st.tuples(st.sampled_from(["filter", "receiver", "active", "muted"]), st.text('ab=~!"({})[]*\\', max_size=8)),
        max_size=3,
    ),
)
def test_any_parameters_get_an_answer(api: Api, path: str, params: list[tuple[str, str]]) -> None:
    answer = asyncio.run(api.call("GET", path, b"", *params))
    assert answer.status_code in (200, 400)
    assert isinstance(orjson.loads(answer.body), list if answer.status_code == 200 else str)


def test_the_inbox_shows_what_was_sent(tmp_path: Path) -> None:
    async def work() -> None:
        api, now = Api(tmp_path), SystemClock().now_ms()
        await api.desk.receive([Alert({"alertname": "A", "x": "<b>"}, {}, now - 60_000, now + 60_000, now)])
        await asyncio.gather(*api.desk.tick())
        (message,) = orjson.loads((await api.call("GET", "/api/inbox")).body)
        assert (message["receiver"], message["status"]) == ("inbox", "firing")
        assert message["message"]["alerts"][0]["labels"] == {"alertname": "A", "x": "<b>"}
        shown = await api.call("GET", "/api/v2/alerts")
        assert b"<" not in bytes(shown.body)  # as Go writes it: nothing that a sniffing browser could take for HTML
        api.state.close()

    asyncio.run(work())
