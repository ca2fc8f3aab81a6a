"""Rules over the past as a matrix give what the runner gives, evaluation by evaluation."""

import asyncio
import random

import pytest

from watchkeeper.model.doors import AlertSample
from watchkeeper.model.errors import BadInput
from watchkeeper.query.promql.engine import Engine
from watchkeeper.query.settings import QuerySettings
from watchkeeper.rules.alerting import AlertingRule, State
from watchkeeper.rules.files import parse_rules
from watchkeeper.rules.past import Firing, replay_rules
from watchkeeper.rules.rehearsal import RehearsalStore, StillClock
from watchkeeper.rules.runner import RuleRunner

MINUTE_MS = 60_000
RULES = """
groups:
- name: records
  interval: 1m
  labels: {team: a}
  rules:
  - {record: load, expr: "max by (host) (raw)"}
  - {record: smooth, expr: "avg_over_time(load[5m])"}
- name: alerts
  interval: 1m
  rules:
  - {alert: High, expr: load > 6, annotations: {summary: "{{ $labels.host }} at {{ $value }}"}}
  - {alert: Long, expr: load > 5, for: 3m, labels: {severity: page}}
  - {alert: Kept, expr: load > 7, for: 1m, keep_firing_for: 4m}
  - {alert: Smooth, expr: smooth > 5, for: 90s, labels: {host: "{{ $labels.host }}!"}}
  - {alert: Valued, expr: load > 8, labels: {at: "{{ $value }}"}}
  - {alert: Odd, expr: "raw offset 2m > 6 and on (host) load < 9"}
"""
Fact = tuple[tuple[tuple[str, str], ...], int, int, int]


def filled(minutes: int, seed: int) -> RehearsalStore:
    spread, store = random.Random(seed), RehearsalStore()
    for host in ("a", "b"):
        for cpu in ("0", "1"):
            level = 5.0
            samples = []
            for minute in range(minutes):
                level = min(10.0, max(0.0, level + spread.uniform(-1.5, 1.5)))
                if spread.random() > 0.05:  # samples go missing
                    samples.append((minute * MINUTE_MS, round(level)))
            store.given.add({"__name__": "raw", "host": host, "cpu": cpu}, samples)
    return store


def by_runner(store: RehearsalStore, minutes: int) -> set[Fact]:
    clock, engine = StillClock(), Engine(store)

    def ask(expr: str, time_ms: int) -> list[AlertSample]:
        return engine.instant(expr, time_ms).samples()

    async def send(_alerts: object) -> None:
        return None

    async def run() -> set[Fact]:
        runner = RuleRunner(ask, store, store, send, clock)
        await runner.apply([parse_rules(RULES, "r.yml")])
        facts: set[Fact] = set()
        for minute in range(minutes):
            clock.time_ms = minute * MINUTE_MS
            await runner.evaluate_all(clock.time_ms)
            for rule in (rule for group in runner.groups() for rule in group.rules if isinstance(rule, AlertingRule)):
                for alert in rule.active.values():
                    if alert.fired_at_ms and (alert.state is State.INACTIVE or minute == minutes - 1):
                        facts.add((alert.labels, alert.active_at_ms, alert.fired_at_ms, alert.resolved_at_ms))
        await runner.stop()
        return facts

    return asyncio.run(run())


def facts(firings: list[Firing]) -> set[Fact]:
    return {(one.labels, one.active_ms, one.fired_ms, one.resolved_ms) for one in firings}


def replayed(minutes: int, seed: int, settings: QuerySettings | None = None) -> list[Firing]:
    history = replay_rules(
        filled(minutes, seed), [parse_rules(RULES, "r.yml")], 0, (minutes - 1) * MINUTE_MS, settings=settings
    )
    assert history.errors == {}
    return history.firings


@pytest.mark.parametrize("seed", range(6))
def test_alerts_fire_and_end_as_when_evaluated_one_by_one(seed: int) -> None:
    wanted = by_runner(filled(240, seed), 240)
    assert len(wanted) > 20
    assert facts(replayed(240, seed)) == wanted


def test_stretches_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = facts(replayed(240, 1))
    monkeypatch.setattr("watchkeeper.rules.past._STRETCH_STEPS", 7)
    assert facts(replayed(240, 1)) == whole


def test_what_is_too_much_at_once_is_asked_for_in_halves() -> None:
    few = QuerySettings(points_max=11)
    assert facts(replayed(240, 1, settings=few)) == facts(replayed(240, 1))


def test_texts_show_the_value_at_which_the_alert_fired() -> None:
    highs = [one for one in replayed(240, 1) if ("alertname", "High") in one.labels]
    assert {one.annotations["summary"] for one in highs} == {
        f"{dict(one.labels)['host']} at {one.value:g}" for one in highs
    }


def test_alerts_that_fire_at_the_start_are_known_with_their_beginning() -> None:
    store = RehearsalStore()
    store.given.add({"__name__": "x"}, [(minute * MINUTE_MS, 1.0) for minute in range(120)])
    rules = parse_rules("groups: [{name: g, rules: [{alert: A, expr: x > 0, for: 30m}]}]", "r.yml")
    (firing,) = replay_rules(store, [rules], 60 * MINUTE_MS, 90 * MINUTE_MS).firings
    assert firing.active_ms < 60 * MINUTE_MS
    assert (firing.fired_ms <= 60 * MINUTE_MS, firing.resolved_ms) == (True, 0)


def test_a_rule_that_fails_is_named_and_the_others_go_on() -> None:
    store = filled(60, 1)
    text = "groups: [{name: g, rules: [{alert: A, expr: 'raw * on (host) raw'}, {alert: B, expr: vector(1)}]}]"
    history = replay_rules(store, [parse_rules(text, "r.yml")], 0, 30 * MINUTE_MS)
    assert "many-to-many matching not allowed" in history.errors["g: A"]
    assert [dict(one.labels)["alertname"] for one in history.firings] == ["B"]


def test_an_empty_range_is_refused() -> None:
    with pytest.raises(BadInput, match="want one that is"):
        replay_rules(RehearsalStore(), [], 5, 5)


def test_progress_ends_at_one() -> None:
    seen: list[float] = []
    replay_rules(filled(5, 1), [parse_rules(RULES, "r.yml")], 0, 5 * MINUTE_MS, progress=seen.append)
    assert seen[-1] == 1.0
