"""Alerts after a restart."""

from collections.abc import Awaitable, Callable

import pytest
from tests.rules.conftest import MINUTE_MS, START_MS, Bench, RealWorld

from watchkeeper.model.doors import AlertSample
from watchkeeper.model.labels import LabelPairs
from watchkeeper.rules.alerting import ActiveAlert, State
from watchkeeper.rules.files import parse_rules
from watchkeeper.rules.restore import Remembered, fired_at, resume, sharpened
from watchkeeper.rules.settings import RuleSettings

InWorld = Callable[[Callable[[RealWorld], Awaitable[None]]], None]
LABELS: LabelPairs = (("alertname", "A"), ("job", "a"))
NOW_MS = START_MS
HOUR_MS = 60 * MINUTE_MS
KEEPING = (
    "groups: [{name: g, rules: [{alert: A, expr: e, keep_firing_for: 5m, annotations: {s: '{{ $labels.job }}'}}]}]"
)


def resumed(hold_ms: int, waited_ms: int, down_ms: int) -> ActiveAlert:
    """Give a new alert after it had waited for a while, and we were down for another."""
    seen_ms = NOW_MS - down_ms
    alert = ActiveAlert(LABELS, {}, 1.0, NOW_MS)
    resume(alert, {LABELS: Remembered(seen_ms - waited_ms, seen_ms)}, hold_ms, NOW_MS, MINUTE_MS, RuleSettings())
    return alert


@pytest.mark.parametrize("hold_ms", [0, MINUTE_MS, HOUR_MS])
def test_firing_alert_goes_on_firing_since_when_it_did(hold_ms: int) -> None:
    alert = resumed(hold_ms, hold_ms + MINUTE_MS, 5 * MINUTE_MS)
    assert alert.state is State.FIRING
    assert alert.active_at_ms == NOW_MS - 6 * MINUTE_MS - hold_ms
    assert alert.fired_at_ms == alert.active_at_ms + hold_ms


def test_pending_alert_keeps_what_it_waited_but_not_while_we_were_down() -> None:
    alert = resumed(HOUR_MS, 20 * MINUTE_MS, 5 * MINUTE_MS)
    assert (alert.state, alert.active_at_ms) == (State.PENDING, NOW_MS - 20 * MINUTE_MS)


def test_pending_alert_about_to_fire_waits_for_the_grace_period() -> None:
    alert = resumed(HOUR_MS, 58 * MINUTE_MS, 5 * MINUTE_MS)
    assert (alert.state, alert.active_at_ms) == (State.PENDING, NOW_MS - 50 * MINUTE_MS)


def test_pending_alert_with_a_short_hold_needs_no_grace() -> None:
    alert = resumed(5 * MINUTE_MS, 4 * MINUTE_MS, 5 * MINUTE_MS)
    assert (alert.state, alert.active_at_ms) == (State.PENDING, NOW_MS - 4 * MINUTE_MS)


def test_beginning_is_known_to_the_millisecond_again() -> None:
    # the sample says 8:00:03; the group is evaluated 3.199 s into each minute
    memory = {LABELS: Remembered(START_MS + 3000, START_MS + 3000 + HOUR_MS)}
    assert sharpened(memory, MINUTE_MS, 3199)[LABELS].active_at_ms == START_MS + 3199
    assert sharpened(memory, MINUTE_MS, 4199)[LABELS].active_at_ms == START_MS + 3000


def test_alert_fired_at_the_first_evaluation_after_its_hold() -> None:
    assert fired_at(START_MS, 0, 15_000) == START_MS
    assert fired_at(START_MS, 20_000, 15_000) == START_MS + 30_000
    assert fired_at(START_MS, 30_000, 15_000) == START_MS + 30_000


def test_unknown_alert_starts_now() -> None:
    alert = ActiveAlert(LABELS, {}, 1.0, NOW_MS)
    resume(alert, {}, 0, NOW_MS, MINUTE_MS, RuleSettings())
    assert (alert.state, alert.active_at_ms) == (State.PENDING, NOW_MS)


def remembering(bench: Bench, text: str, waited_ms: int) -> None:
    bench.load(text)
    seen_ms = bench.clock.ms
    for group in bench.runner.groups():
        group.spread_ms = 0
        group.remember({"A": {LABELS: Remembered(seen_ms - waited_ms, seen_ms)}})


def test_alert_that_comes_in_the_second_evaluation_is_resumed_too(bench: Bench) -> None:
    remembering(bench, KEEPING.replace("keep_firing_for: 5m, ", ""), 0)
    bench.tick()
    assert bench.states() == []
    assert bench.last() == {"ALERTS_FOR_STATE{alertname=A,job=a}": None}  # neither a sample nor the end of the series
    bench.ask.answers["e"] = [AlertSample({"job": "a"}, 1.0)]
    bench.tick()
    assert bench.runner.alerts_json()["alerts"][0]["activeAt"] == "2027-01-15T08:00:00Z"


def test_alert_that_comes_later_is_new(bench: Bench) -> None:
    remembering(bench, KEEPING.replace("keep_firing_for: 5m, ", ""), 0)
    bench.tick()
    bench.tick()
    bench.ask.answers["e"] = [AlertSample({"job": "a"}, 1.0)]
    bench.tick()
    assert bench.runner.alerts_json()["alerts"][0]["activeAt"] == "2027-01-15T08:03:00Z"


def test_alert_kept_firing_is_kept_over_a_restart(bench: Bench) -> None:
    remembering(bench, KEEPING, MINUTE_MS)
    bench.tick()
    shown = bench.runner.alerts_json()["alerts"][0]
    assert shown["state"] == "firing" and "keepFiringSince" in shown and shown["annotations"] == {"s": "a"}
    for _ in range(5):
        bench.tick()
    assert bench.states() == []
    assert bench.sent[-1][0].ends_at_ms == bench.clock.ms


def test_state_is_found_whether_rules_or_runner_come_first(in_world: InWorld) -> None:
    rules = [parse_rules(KEEPING.replace("expr: e", "expr: load > 1"), "r.yml")]

    async def before(world: RealWorld) -> None:
        await world.runner.apply(rules)
        world.scrape({"load": 2.0})
        await world.runner.evaluate_all(world.clock.now_ms())

    async def after(world: RealWorld) -> None:
        await world.runner.start()
        await world.runner.apply(rules)
        world.clock.ms += MINUTE_MS
        world.scrape({"load": 2.0})
        await world.runner.evaluate_all(world.clock.now_ms())
        assert world.runner.alerts_json()["alerts"][0]["activeAt"] == "2027-01-15T08:00:00Z"

    in_world(before)
    in_world(after)


def test_after_a_long_outage_alerts_start_anew(in_world: InWorld) -> None:
    rules = [parse_rules(KEEPING.replace("expr: e", "expr: load > 1"), "r.yml")]

    async def before(world: RealWorld) -> None:
        await world.runner.apply(rules)
        world.scrape({"load": 2.0})
        await world.runner.evaluate_all(world.clock.now_ms())

    async def after(world: RealWorld) -> None:
        world.clock.ms += HOUR_MS + MINUTE_MS
        await world.runner.apply(rules)
        await world.runner.start()
        assert [group.memory for group in world.runner.groups()] == [{}]

    in_world(before)
    in_world(after)
