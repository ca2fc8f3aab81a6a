"""Recurring silences, and the question before a broad one."""

import asyncio
from pathlib import Path

import pytest
from tests.net.judges.asgi import Client
from tests.net.judges.world import World
from tests.notify.conftest import Maker, run

from watchkeeper.api import silences
from watchkeeper.model.alert import Alert
from watchkeeper.model.document import parse
from watchkeeper.model.errors import BadInput
from watchkeeper.net import client as outgoing
from watchkeeper.notify.desk import Desk, DeskSettings
from watchkeeper.notify.oncall_settings import OnCallSettings
from watchkeeper.notify.recurring import MARK
from watchkeeper.notify.settings import DEFAULT_CONFIG

DAY_S = 86_400
NIGHTS = {
    "matchers": ['service="batch"'],
    "schedule": {"at": ["22:00"], "location": "Europe/Berlin"},
    "lasts_ms": 8 * 3_600_000,
    "created_by": "ann",
    "comment": "import",
}


def test_occurrences_are_silences_a_day_ahead_that_mute_in_time(bench: Maker) -> None:
    async def work() -> None:
        made = bench()  # 2023-11-14T22:13:20Z, 23:13 in Berlin: inside an occurrence
        kept = await made.desk.recurring.add(NIGHTS)
        first, second = made.desk.silences()
        assert [first.state(made.clock.ms), second.state(made.clock.ms)] == ["active", "pending"]
        assert first.annotations == {MARK: kept.id}
        alert = made.alert(ends_s=DAY_S, alertname="A", service="batch")
        await made.desk.receive([alert])
        shown = made.desk.known(alert.fingerprint)
        assert shown is not None and shown.silenced_by == (first.id,)
        await made.desk.recurring.make_due()
        assert len(made.desk.silences()) == 2  # none twice
        await made.desk.end_silence(first.id)
        made.clock.pass_s(1)
        again = bench()
        await again.desk.load()
        await again.desk.recurring.make_due()
        assert [one.state(made.clock.ms) for one in again.desk.silences()] == ["pending", "expired"]  # ended by hand
        await again.desk.recurring.end(kept.id)
        made.clock.pass_s(1)
        assert {one.state(made.clock.ms) for one in again.desk.silences()} == {"expired"}
        assert again.desk.recurring.all() == []

    run(work)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"schedule": {}}, "one of at and every"),
        ({"schedule": {"at": ["22:00"], "location": "Nowhere"}}, "unknown time zone Nowhere"),
        ({"schedule": {"at": ["22:00"], "days_of_month": ["31"], "months": ["february"]}}, "no next time"),
        ({"lasts_ms": 0}, "one minute to 31 days"),
        ({"matchers": ['a=~".*"']}, "must not match the empty string"),
    ],
)
def test_what_cannot_recur_is_refused(bench: Maker, change: dict[str, object], why: str) -> None:
    async def work() -> None:
        with pytest.raises(BadInput, match=why):
            await bench().desk.recurring.add({**NIGHTS, **change})

    run(work)


def _world(folder: Path) -> tuple[World, Desk, Client, Client]:
    world = World(folder)
    desk = Desk(DeskSettings(), world.state, world.clock, outgoing.Client("test"), "http://wk")
    own = '{own_services: [{people: [viewer], matchers: [service="api"]}], silence_asks_beyond: 3}'
    desk.apply(DEFAULT_CONFIG, parse(own, "w.yml").read_as(OnCallSettings))
    app = world.app([*world.routes(), *silences.routes(desk)])
    return world, desk, Client(app, world.session("viewer", app)), Client(app, world.session("editor", app))


def test_viewers_silence_their_own_services_alone(tmp_path: Path) -> None:
    _, desk, viewer, editor = _world(tmp_path)
    body = {"for": "1h", "comment": "deploy"}
    answer = viewer.call("POST", "/api/silences", json={**body, "matchers": ['service="api"', "alertname=A"]})
    assert answer.status == 200
    (made,) = desk.silences()
    assert made.created_by == "viewer"
    for matchers in (['service="web"'], ['service=~"api|web"'], ["alertname=A"], ['service!="api"', "alertname=A"]):
        refused = viewer.call("POST", "/api/silences", json={**body, "matchers": matchers})
        assert refused.status == 403 and 'matchers with {service="api"}' in refused.json()["message"]
    other = editor.call("POST", "/api/silences", json={**body, "matchers": ['service="web"']}).json()["silenceID"]
    assert viewer.call("DELETE", f"/api/silences/{other}").status == 403
    assert viewer.call("DELETE", f"/api/silences/{made.id}").status == 200
    assert viewer.call("DELETE", "/api/silences/nothing").status == 404


def test_a_broad_silence_is_made_only_when_confirmed(tmp_path: Path) -> None:
    world, desk, _, editor = _world(tmp_path)
    now = world.clock.now_ms()
    alerts = [Alert({"alertname": f"A{at}", "job": "j"}, {}, now, now + 3_600_000, now) for at in range(5)]
    asyncio.run(desk.receive(alerts))
    body = {"for": "1h", "comment": "x", "matchers": ["job=j"]}
    preview = editor.call("POST", "/api/silences/preview", json=body).json()
    assert (preview["affected"], preview["of"], len(preview["reasons"])) == (5, 5, 2)
    refused = editor.call("POST", "/api/silences", json=body)
    assert refused.status == 409 and "more than 3" in refused.json()["message"] and refused.json()["affected"] == 5
    assert editor.call("POST", "/api/silences", json={**body, "confirm": True}).status == 200
    assert editor.call("POST", "/api/silences", json={**body, "matchers": ["alertname=A1"]}).status == 200
    anything = editor.call("POST", "/api/silences", json={**body, "matchers": ['alertname=~".+"']})
    assert anything.status == 409 and "none of them names a value" in anything.json()["message"]
