"""The whole way of the data, as a user meets it: real exporters, a real Redis that stops, a webhook, kill -9."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import orjson
import pytest
from tests.system.programs import Hook, Redis, Watchkeeper, exporter
from tests.system.remote_write import write_request
from tests.waiting import wait_until

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("system")]

_PROMETHEUS = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [rules.yml]
scrape_configs:
  - job_name: node
    static_configs: [{{targets: ["127.0.0.1:{node}"]}}]
  - job_name: redis
    static_configs: [{{targets: ["127.0.0.1:{redis}"], labels: {{team: cache}}}}]
  - job_name: postgres
    static_configs: [{{targets: ["127.0.0.1:{postgres}"]}}]
"""
_RULES = """
groups:
  - name: redis
    rules:
      - alert: RedisDown
        expr: redis_up == 0
        for: 3s
        labels: {severity: critical}
        annotations: {summary: "Redis at {{ $labels.instance }} is down ({{ $value }})"}
      - record: job:up:count
        expr: count by (job) (up == 1)
"""
_ALERTMANAGER = """
route: {{receiver: hook, group_by: [alertname], group_wait: 1s, group_interval: 1s, repeat_interval: 2s}}
receivers: [{{name: hook, webhook_configs: [{{url: "{url}"}}]}}]
"""
_PROMTAIL = """
scrape_configs:
  - job_name: app
    static_configs:
      - targets: [localhost]
        labels: {{job: app, __path__: "{folder}/*.log"}}
"""


@pytest.fixture
def ports(redis: Redis, postgres_port: int) -> Iterator[dict[str, int]]:
    dsn = f"postgresql://postgres@127.0.0.1:{postgres_port}/postgres?sslmode=disable"
    with ExitStack() as stack:
        node = stack.enter_context(exporter("prometheus-node-exporter"))
        cache = stack.enter_context(
            exporter("prometheus-redis-exporter", f"--redis.addr=redis://127.0.0.1:{redis.port}")
        )
        base = stack.enter_context(exporter("prometheus-postgres-exporter", env={"DATA_SOURCE_NAME": dsn}))
        yield {"node": node, "redis": cache, "postgres": base}


@pytest.fixture
def system(tmp_path: Path, watchkeeper: Callable[..., Watchkeeper], ports: dict[str, int], hook: Hook) -> Watchkeeper:
    folder, logs = tmp_path / "config", tmp_path / "logs"
    folder.mkdir()
    logs.mkdir()
    (folder / "prometheus.yml").write_text(_PROMETHEUS.format(**ports))
    (folder / "rules.yml").write_text(_RULES)
    (folder / "alertmanager.yml").write_text(_ALERTMANAGER.format(url=hook.url))
    (folder / "promtail.yml").write_text(_PROMTAIL.format(folder=logs))
    process = watchkeeper("--config", str(folder))
    process.start()
    process.key = process.make_key("read", "metrics:write", "logs:write", "agent", "admin")
    return process


def test_from_exporters_to_the_webhook_and_through_kill_9(system: Watchkeeper, redis: Redis, hook: Hook) -> None:
    wait_until("all three targets up", lambda: system.value("sum(up)") == 3)
    assert system.value("pg_up") == 1
    assert system.value("count(node_cpu_seconds_total)") >= 8
    wait_until("the recording rule", lambda: len(system.query("job:up:count")) == 3)

    redis.stop()
    wait_until("RedisDown pending", lambda: _state(system) == "pending")
    since = _alert(system)["activeAt"]
    wait_until("RedisDown firing", lambda: _state(system) == "firing")
    first = wait_until("the webhook", lambda: hook.of("RedisDown", "firing"))[0]
    assert first["labels"]["team"] == "cache"
    assert first["labels"]["severity"] == "critical"
    assert first["annotations"]["summary"].startswith("Redis at 127.0.0.1:")
    assert first["annotations"]["summary"].endswith("is down (0)")

    silence = system.command("silence", "add", "alertname=RedisDown", "--comment", "known").strip()
    now_ms = _push_sample(system)
    _push_line(system, "acknowledged before the kill")
    samples = {expr: system.value(expr) for expr in ("count_over_time(up{job='node'}[1m]) > 0",)}
    log = system.folder / "logs" / "app.log"
    log.write_text('{"level":"error","message":"tailed before the kill"}\n')
    wait_until("the tailed line", lambda: _lines(system, '{job="app"}') == 1)

    system.kill()
    system.start()

    assert system.value(f"pushed @ {now_ms / 1000}") == 42.5
    assert _lines(system, '{job="pushed"} |= "acknowledged"') == 1
    assert _lines(system, '{job="app"} |= "tailed"') == 1, "a restart neither loses nor repeats a line"
    for expr, before in samples.items():
        assert system.value(expr.replace("[1m]", "[10m]")) >= before
    (kept,) = [one for one in system.json("/api/v2/silences") if one["id"] == silence]
    assert kept["status"]["state"] == "active"
    wait_until("the alert to fire again", lambda: _state(system) == "firing")
    assert _alert(system)["activeAt"][:19] == since[:19], "the alert's age survives"
    wait_until("the alert to be silenced", lambda: _suppressed(system))
    sent = len(hook.of("RedisDown", "firing"))
    evaluations = system.value("ALERTS{alertname='RedisDown',alertstate='firing'}")
    assert evaluations == 1

    wait_until("three more evaluations", lambda: _rule(system)["lastEvaluation"] > _after(system, 3))
    assert len(hook.of("RedisDown", "firing")) == sent, "silenced: nothing is sent, however short repeat_interval"

    system.command("silence", "expire", silence)
    wait_until("notifications to go on", lambda: len(hook.of("RedisDown", "firing")) > sent)
    redis.start()
    wait_until("the resolve to arrive", lambda: hook.of("RedisDown", "resolved"))
    assert system.stop() == 0


_seen: dict[int, str] = {}


def _after(system: Watchkeeper, seconds: int) -> str:
    """Give the time that lies some seconds after the first call's."""
    if seconds not in _seen:
        moment = time.gmtime(time.time() + seconds)
        _seen[seconds] = time.strftime("%Y-%m-%dT%H:%M:%S", moment)
    del system
    return _seen[seconds]


def _rule(system: Watchkeeper) -> dict[str, str]:
    groups = system.json("/api/v1/rules", {"type": "alert"})["data"]["groups"]
    rule: dict[str, str] = groups[0]["rules"][0]
    return rule


def _alert(system: Watchkeeper) -> dict[str, str]:
    alerts = system.json("/api/v1/alerts")["data"]["alerts"]
    alert: dict[str, str] = alerts[0]
    return alert


def _state(system: Watchkeeper) -> str:
    return _alert(system)["state"]


def _suppressed(system: Watchkeeper) -> bool:
    return any(one["status"]["state"] == "suppressed" for one in system.json("/api/v2/alerts"))


def _push_sample(system: Watchkeeper) -> int:
    now_ms = time.time_ns() // 1_000_000
    body = write_request([({"__name__": "pushed", "job": "test"}, [(now_ms, 42.5)])])
    headers = {"content-type": "application/x-protobuf", "content-encoding": "snappy"}
    status, answer = system.ask("/api/v1/write", method="POST", body=body, headers=headers)
    assert status in (200, 204), answer
    return now_ms


def _push_line(system: Watchkeeper, line: str) -> None:
    body = {"streams": [{"stream": {"job": "pushed"}, "values": [[str(time.time_ns()), line]]}]}
    headers = {"content-type": "application/json"}
    status, answer = system.ask("/loki/api/v1/push", method="POST", body=orjson.dumps(body), headers=headers)
    assert status == 204, answer


def _lines(system: Watchkeeper, query: str) -> int:
    streams = system.json("/loki/api/v1/query_range", {"query": query, "since": "1h"})["data"]["result"]
    return sum(len(stream["values"]) for stream in streams)


def test_a_bad_rule_is_set_aside_and_a_bad_configuration_changes_nothing(system: Watchkeeper) -> None:
    rules, scraping = (system.folder / "config" / name for name in ("rules.yml", "prometheus.yml"))
    rules.write_text(rules.read_text() + "\n- {name: broken, rules: [{record: a, expr: 'sum('}]}\n")
    assert system.ask("/-/reload", method="POST")[0] == 200
    assert _rule(system)["name"] == "RedisDown"
    told = re.compile(rb'watchkeeper_rules_quarantined{file="[^"]*rules.yml"} 1.0')
    assert told.search(system.ask("/metrics")[1])

    good = scraping.read_text()
    scraping.write_text(good + "\nnonsense: true\n")
    status, answer = system.ask("/-/reload", method="POST")
    assert status == 500
    assert b"prometheus.yml:" in answer
    assert system.ask("/metrics")[1].count(b"prometheus_config_last_reload_successful 0.0") == 1

    scraping.write_text(good)
    rules.write_text("groups: [{name: g, rules: [{alert: Always, expr: 'vector(1)'}]}]")
    system.hang_up()
    wait_until("the new rule", lambda: _rule(system)["name"] == "Always")
    wait_until("success", lambda: b"prometheus_config_last_reload_successful 1.0" in system.ask("/metrics")[1])
