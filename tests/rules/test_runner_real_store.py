"""The runner over the real engine and store: an alert's whole life, and a restart in the middle of it."""

from collections.abc import Awaitable, Callable

from tests.rules.conftest import MINUTE_MS, RealWorld

from watchkeeper.rules.files import parse_rules

InWorld = Callable[[Callable[[RealWorld], Awaitable[None]]], None]
RULES = """
groups:
- name: g
  interval: 1m
  rules:
  - record: instance:load:doubled
    expr: load * 2
  - record: instance:load:fourfold
    expr: instance:load:doubled * 2
  - alert: HighLoad
    expr: load > 1
    for: 2m
    labels: {severity: warning}
    annotations: {summary: "load of {{ $labels.instance }} is {{ $value }}"}
  - alert: Quick
    expr: load > 1
"""


async def minute(world: RealWorld, load: float) -> None:
    world.clock.ms += MINUTE_MS
    world.scrape({"load": load})
    await world.runner.evaluate_all(world.clock.now_ms())


def test_alert_goes_from_pending_to_firing_to_resolved_and_its_series_end(in_world: InWorld) -> None:
    async def life(world: RealWorld) -> None:
        await world.runner.apply([parse_rules(RULES, "r.yml")])
        await minute(world, 1.5)
        assert world.value("ALERTS") == {
            "ALERTS{alertname=HighLoad,alertstate=pending,instance=a,severity=warning}": 1,
            "ALERTS{alertname=Quick,alertstate=firing,instance=a}": 1,
        }
        await minute(world, 2.5)
        await minute(world, 2.5)
        assert world.value('ALERTS{alertname="HighLoad"}') == {
            "ALERTS{alertname=HighLoad,alertstate=firing,instance=a,severity=warning}": 1
        }
        fired = next(alert for alert in world.sent if alert.labels["alertname"] == "HighLoad")
        assert fired.annotations == {"summary": "load of a is 2.5"}
        assert fired.starts_at_ms == world.clock.now_ms()
        await minute(world, 0.5)
        assert world.value("ALERTS") == {} and world.value("ALERTS_FOR_STATE") == {}
        assert world.sent[-1].ends_at_ms == world.clock.now_ms()

    in_world(life)


def test_later_rule_sees_what_an_earlier_one_wrote_in_the_same_evaluation(in_world: InWorld) -> None:
    async def once(world: RealWorld) -> None:
        await world.runner.apply([parse_rules(RULES, "r.yml")])
        await minute(world, 1.5)
        assert world.value("instance:load:fourfold") == {"instance:load:fourfold{instance=a}": 6}

    in_world(once)


def test_restart_keeps_firing_and_pending_alerts_since_when_they_were_active(in_world: InWorld) -> None:
    async def before(world: RealWorld) -> None:
        await world.runner.apply([parse_rules(RULES, "r.yml")])
        await world.runner.start()
        await minute(world, 2.0)
        await minute(world, 2.0)

    async def after(world: RealWorld) -> None:
        active_at = world.clock.now_ms() - MINUTE_MS
        world.clock.ms += MINUTE_MS  # a minute down
        await world.runner.apply([parse_rules(RULES, "r.yml")])
        await world.runner.start()
        await minute(world, 2.0)
        states = {alert["labels"]["alertname"]: alert for alert in world.runner.alerts_json()["alerts"]}
        assert states["Quick"]["state"] == "firing"
        assert world.value('ALERTS_FOR_STATE{alertname="Quick"}') == {
            "ALERTS_FOR_STATE{alertname=Quick,instance=a}": active_at // 1000
        }
        # HighLoad had waited one of two minutes: the minutes we were down do not count
        assert states["HighLoad"]["state"] == "pending"
        await minute(world, 2.0)
        assert [alert["state"] for alert in world.runner.alerts_json()["alerts"]] == ["firing", "firing"]

    in_world(before)
    in_world(after)


def test_reload_without_a_group_ends_its_series(in_world: InWorld) -> None:
    async def scenario(world: RealWorld) -> None:
        await world.runner.apply([parse_rules(RULES, "r.yml")])
        await minute(world, 2.0)
        world.clock.ms += 1000
        await world.runner.apply([])
        assert world.value('{__name__=~"instance:.*|ALERTS.*"}') == {}

    in_world(scenario)
