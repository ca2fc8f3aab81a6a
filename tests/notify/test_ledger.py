"""The delivery ledger: what each alert went through, and the answer that is made of it."""

import asyncio
from typing import Any

import pytest
from tests.notify.conftest import Bench, Maker, run

from watchkeeper.notify.ledger import Ledger, LedgerSettings, without_echoes
from watchkeeper.notify.matcher import parse_matchers
from watchkeeper.notify.silence import Silence
from watchkeeper.notify.why import Standing, Why
from watchkeeper.store.state.ledger import Event, drop_old_events, find_events, save_events

CONFIG = """
route: {receiver: web, group_by: [alertname], group_wait: 10s, group_interval: 1m, repeat_interval: 1h, routes: [
  {receiver: night, matchers: [team="night"], mute_time_intervals: [always]}]}
receivers: [{name: web, webhook_configs: [{url: 'http://hook/x'}]}, {name: night, webhook_configs: [{url: 'http://hook/n'}]}]
inhibit_rules: [{source_matchers: [alertname="Big"], target_matchers: [alertname="Small"]}]
time_intervals: [{name: always, time_intervals: [{}]}]
"""


def asked(bench: Bench, *standings: Standing) -> Why:
    return Why(bench.desk, bench.desk._ledger, lambda _name: standings)


async def account(bench: Bench, name: str = "A") -> dict[str, Any]:
    (one,) = (await asked(bench).why(name, (), 100))["alerts"]
    return one


def words(one: dict[str, Any]) -> list[str]:
    return [step["text"] for step in one["events"]]


def test_the_whole_way_of_an_alert_that_was_told(bench: Maker) -> None:
    async def work() -> None:
        made = bench(CONFIG)
        made.client.statuses = [500]
        await made.desk.receive([made.alert(alertname="A", x="1"), made.alert(alertname="A", x="2")])
        assert (await made_one(made, 'x="1"'))["answer"].startswith("Not yet: web is due")
        await made.pass_s(11)
        await made.desk.receive([made.alert(ends_s=0, starts_s=-11, alertname="A", x="1")])
        await made.pass_s(60)
        one = await made_one(made, 'x="1"')
        assert words(one) == [
            "fired",
            'grouped with 1 other as {alertname="A"} on route {} for receiver web',
            words(one)[2],
            "resolved",
            words(one)[4],
        ]
        assert words(one)[2].startswith("web was told by webhook[0]: first notification (taken in ")
        assert "at the 2. try; before: " in words(one)[2] and "500" in words(one)[2]
        assert words(one)[4].startswith("web was told by webhook[0]: some alerts resolved (taken in ")
        assert one["answer"].startswith("Yes: web was told at 2023-11-14T22:13:30Z (first notification).")
        assert one["answer"].endswith("It was over at 2023-11-14T22:13:31Z.")
        assert one["state"] == "resolved"

    async def made_one(made: Bench, matcher: str) -> dict[str, Any]:
        (one,) = (await asked(made).why("A", parse_matchers(matcher), 100))["alerts"]
        return one

    run(work)


def test_who_was_held_back_is_told_by_what(bench: Maker) -> None:
    async def work() -> None:
        made = bench(CONFIG)
        now = made.clock.ms
        (matcher,) = parse_matchers('alertname="A"')
        silence = Silence("", (matcher,), now, now + 3_600_000, "ann", "moving the cache")
        silence_id = await made.desk.put_silence(silence)
        alerts = [made.alert(alertname=name) for name in ("A", "Big", "Small")]
        await made.desk.receive([*alerts, made.alert(alertname="N", team="night")])
        await made.pass_s(200)
        a, small, night = [await account(made, name) for name in ("A", "Small", "N")]
        assert words(a)[2:] == [
            f"held back from web: silenced by {silence_id} (ann: moving the cache) until 2023-11-14T23:13:20Z"
        ]
        assert a["answer"] == f"No: it is {words(a)[2].removeprefix('held back from web: ')}."
        assert words(small)[2:] == ["held back from web: inhibited by Big{}"]
        assert small["answer"] == "No: it is inhibited by Big{}."
        assert night["answer"] == "No: it is inside mute time interval always."
        await made.desk.end_silence(silence_id)
        await made.pass_s(61)
        assert words(await account(made))[3] == "held back from web no longer"
        assert (await account(made))["answer"].startswith("Yes: web was told")

    run(work)


def test_what_could_not_be_delivered_says_why(bench: Maker) -> None:
    async def work() -> None:
        made = bench(CONFIG)
        made.client.statuses = [404]
        await made.desk.receive([made.alert(alertname="A")])
        await made.pass_s(11)
        one = await account(made)
        assert one["answer"].startswith("No: web could not be told, last at 2023-11-14T22:13:30Z: ")
        assert "404" in one["answer"]

    run(work)


def test_an_alert_that_is_not_there_is_answered_from_its_rule(bench: Maker) -> None:
    async def work() -> None:
        made = bench(CONFIG)
        pending = Standing({"alertname": "P"}, "pending", made.clock.ms, 60_000, "up == 0", "", made.clock.ms)
        idle = Standing({}, "inactive", 0, 0, "up == 0", "", made.clock.ms)
        assert (await asked(made).why("P", (), 9))["rules"] == [
            "No: no alert P was seen, and no rule here has that name."
        ]
        assert (await asked(made, pending).why("P", (), 9))["rules"] == [
            "No: it is pending since 2023-11-14T22:13:20Z and fires at 2023-11-14T22:14:20Z if that goes on (up == 0)"
        ]
        assert (await asked(made, idle).why("P", (), 9))["rules"] == [
            "No: the rule P is inactive: up == 0 found nothing at 2023-11-14T22:13:20Z"
        ]

    run(work)


def test_what_counts_as_sent_is_in_the_ledger_though_nothing_else_was_written(bench: Maker) -> None:
    async def work() -> None:
        made = bench(CONFIG)
        alert = made.alert(alertname="A")
        await made.desk.receive([alert])
        await made.pass_s(11)  # the ledger's own task never ran
        assert [one.kind for one in find_events(made.state, alert.fingerprint, 9)] == ["told"]

    run(work)


def test_the_ledger_stays_bounded(bench: Maker) -> None:
    made = bench()
    save_events(made.state, [Event(at, 7, "fired") for at in range(3000)])
    assert drop_old_events(made.state, 1000, 1_000_000) == 1000
    assert drop_old_events(made.state, 0, 500) == 1500
    assert [one.time_ms for one in find_events(made.state, 7, 9999)] == list(range(2500, 3000))


def test_a_full_queue_loses_steps_instead_of_memory(bench: Maker) -> None:
    async def work() -> None:
        made = bench()
        ledger = Ledger(LedgerSettings(queue_max=10), made.state, made.clock)
        for at in range(100):
            ledger.add(Event(at, 7, "heard"))
        assert len(await ledger.events(7, 1000)) == 10

    run(work)


@pytest.mark.parametrize("alerts", [5000])
def test_a_storm_is_not_slowed(bench: Maker, alerts: int) -> None:
    async def work() -> None:
        made = bench(CONFIG)
        storm = [made.alert(alertname=f"A{at % 50}", x=str(at)) for at in range(alerts)]
        await made.desk.receive(storm)
        await asyncio.wait_for(made.pass_s(11), 20)
        assert len(made.client.sent) == 50
        await made.desk._ledger.flush()
        assert len(find_events(made.state, storm[0].fingerprint, 10)) == 3

    run(work)


def test_what_two_processes_saw_is_told_once() -> None:
    a, b = {"group_key": "a"}, {"group_key": "b"}
    steps = [
        ("pending", {}),
        ("fired", {}),
        ("pending", {}),
        ("fired", {}),
        ("grouped", a),
        ("grouped", b),
        ("grouped", a),
    ]
    steps += [("told", a), ("told", a), ("resolved", {}), ("resolved", {}), ("fired", {}), ("grouped", a)]
    kept = without_echoes(Event(at, 7, kind, detail) for at, (kind, detail) in enumerate(steps))
    assert [one.time_ms for one in kept] == [0, 1, 4, 5, 7, 8, 9, 11, 12]
