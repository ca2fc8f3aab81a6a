"""What /api/v1/rules and /api/v1/alerts show, beside a real Prometheus."""

import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl

import orjson
import pytest
from tests.peers import PEERS, RealPrometheus
from tests.rules.conftest import MINUTE_MS, Bench, RealWorld

from watchkeeper.model.doors import AlertSample
from watchkeeper.model.errors import BadInput
from watchkeeper.rules.files import parse_rules

RULES = """
groups:
- name: b
  limit: 7
  rules:
  - {record: r1, expr: "sum( vector(1)) by(x)"}
  - {record: r2, expr: "vector(1)", labels: {team: a}}
  - alert: A
    expr: "vector(1) >  0"
    labels: {sev: "{{ $value }}"}
    annotations: {s: "{{ $labels }}"}
    keep_firing_for: 1m
  - {alert: B, expr: "vector(1)", for: 10m}
  - {alert: C, expr: "vector(1) > 5"}
- name: a
  rules: []
- name: c
  interval: 1500ms
  rules:
  - {record: r3, expr: "vector(3)"}
"""
QUERIES = [
    "",
    "type=x",
    "type=alert",
    "type=record",
    "type=ALERT",
    "group_limit=1",
    "group_limit=0",
    "group_limit=-1",
    "group_limit=x",
    "group_next_token=abc",
    "group_limit=1&group_next_token=abc",
    "match[]={team=%22a%22}",
    "match[]={team=%22a%22}&match[]={sev=~%22.%2B%22}",
    "exclude_alerts=maybe",
    "exclude_alerts=1",
    "rule_name[]=A&rule_name[]=r3",
    "rule_group[]=c",
    "rule_group[]=zz",
    "file[]=nope.yml",
]
TIMES = {"evaluationTime", "lastEvaluation", "activeAt"}


def answer(world: RealWorld, query: str) -> Any:
    try:
        return world.runner.rules_json(parse_qsl(query))
    except BadInput as error:
        return str(error)


def timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: "…" if key in TIMES else timeless(child) for key, child in value.items()}
    return [timeless(child) for child in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Any]]:
    if not (PEERS / "prometheus").exists():
        assert not os.environ.get("CI"), "prometheus is not installed"
        pytest.skip("prometheus is not installed: see the README's list of peers")
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "r.yml").write_text(RULES)
    real = RealPrometheus(folder, "global: {evaluation_interval: 1s}\nrule_files: [r.yml]\n")

    def ask(path: str) -> Any:
        try:
            with urllib.request.urlopen(f"{real.url}{path}", timeout=5) as answer:
                return orjson.loads(answer.read())
        except urllib.error.HTTPError as error:
            return orjson.loads(error.read())

    def all_are_well() -> bool:
        rules = [rule for group in ask("/api/v1/rules")["data"]["groups"] for rule in group["rules"]]
        return bool(rules) and all(rule["health"] == "ok" for rule in rules)

    try:
        real.wait_for(all_are_well)
        yield ask
    finally:
        real.stop()


@pytest.mark.peer
def test_rules_and_alerts_are_shown_as_prometheus_shows_them(
    prometheus: Callable[[str], Any], in_world: Callable[..., None]
) -> None:
    async def compare(world: RealWorld) -> None:
        await world.runner.apply([parse_rules(RULES, "r.yml")], interval_ms=1000)
        await world.runner.evaluate_all(world.clock.now_ms())
        for query in QUERIES:
            theirs = prometheus(f"/api/v1/rules?{query}")
            assert timeless(answer(world, query)) == timeless(theirs.get("data") or theirs["error"]), query
        assert timeless(world.runner.alerts_json()) == timeless(prometheus("/api/v1/alerts")["data"])

    in_world(compare)


def test_pages_of_groups_follow_each_other(bench: Bench) -> None:
    bench.load(RULES)
    first = bench.runner.rules_json([("group_limit", "1")])
    assert [group["name"] for group in first["groups"]] == ["b"]
    second = bench.runner.rules_json([("group_limit", "1"), ("group_next_token", first["groupNextToken"])])
    assert [group["name"] for group in second["groups"]] == ["c"] and "groupNextToken" not in second


def test_times_are_written_as_go_writes_them(bench: Bench) -> None:
    bench.load("groups: [{name: g, rules: [{alert: A, expr: e}]}]")
    before = bench.runner.rules_json()["groups"][0]
    assert before["lastEvaluation"] == before["rules"][0]["lastEvaluation"] == "0001-01-01T00:00:00Z"
    bench.ask.answers["e"] = [AlertSample({}, float("nan"))]
    bench.tick(MINUTE_MS + 120)
    shown = bench.runner.rules_json()["groups"][0]["rules"][0]
    assert shown["lastEvaluation"] == "2027-01-15T08:01:00.12Z"
    assert shown["alerts"][0]["value"] == "NaN"


def test_firing_and_pending_alerts_are_counted(bench: Bench) -> None:
    bench.load("groups: [{name: g, rules: [{alert: A, expr: e}, {alert: B, expr: e, for: 1h}]}]")
    bench.ask.answers["e"] = [AlertSample({}, 1.0)]
    bench.tick()
    assert bench.runner.counts() == {"firing": 1, "pending": 1}
