"""Rules on logs: the Loki ruler's format in the same groups, LogQL asked of a log store."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.doubles import StillClock
from tests.query.logql.liststore import ListStore
from tests.rules.conftest import MINUTE_MS, START_MS, FakeStore

from watchkeeper.app.config import load
from watchkeeper.model.alert import Alert
from watchkeeper.model.doors import AlertSample
from watchkeeper.model.errors import BadConfigs, BadInput
from watchkeeper.query.logql.engine import Engine
from watchkeeper.query.logql.settings import LogQuerySettings
from watchkeeper.rules.files import parse_rules
from watchkeeper.rules.language import LOGQL, PROMQL, ask_logs
from watchkeeper.rules.quarantine import read_usable
from watchkeeper.rules.runner import RuleRunner

RULES = """
groups:
- name: logs
  interval: 1m
  rules:
  - {record: 'app:errors:count5m', expr: 'sum by (app) (count_over_time({app=~".+"} |= "error" [5m]))', labels: {x: y}}
  - alert: TooManyErrors
    expr: sum by (app) (rate({app=~".+"} |= "error" [5m])) > 0.01
    for: 1m
    labels: {severity: page}
    annotations: {summary: '{{ $labels.app }}: {{ $value | humanize }}/s, {{ query "vector(3)" | first | value }}'}
"""


def engine() -> Engine:
    store = ListStore()
    lines = [(START_MS * 1_000_000 + at * 10**9, b"an error" if at % 10 == 0 else b"fine") for at in range(-300, 300)]
    store.add({"app": "shop"}, lines)
    store.add({"app": "calm"}, [(time, b"fine") for time, _ in lines])
    return Engine(store, LogQuerySettings())


def test_expressions_on_logs_record_and_alert() -> None:
    sent: list[Alert] = []

    async def run() -> dict[str, float | None]:
        async def send(alerts: Sequence[Alert]) -> None:
            sent.extend(alerts)

        def metrics(_expr: str, _time_ms: int) -> list[AlertSample]:
            raise BadInput("these rules read no metrics")

        store, clock = FakeStore(), StillClock(START_MS)
        runner = RuleRunner(metrics, store, store, send, clock, ask_logs=ask_logs(engine()))  # type: ignore[arg-type]
        await runner.apply([parse_rules(RULES, "shop", LOGQL)])
        for minute in range(3):
            await runner.evaluate_all(START_MS + minute * MINUTE_MS)
        (group,) = runner.rules_json(language=LOGQL)["groups"]
        assert [(one["type"], one["health"]) for one in group["rules"]] == [("recording", "ok"), ("alerting", "ok")]
        assert runner.rules_json(language=PROMQL) == {"groups": []}
        assert len(runner.alerts_json(LOGQL)["alerts"]) == 1
        assert runner.alerts_json(PROMQL)["alerts"] == []
        return store.series(store.rows[0])

    recorded = asyncio.run(run())
    assert recorded["app:errors:count5m{app=shop,x=y}"] == 30.0
    (alert,) = sent[:1]
    assert alert.labels == {"alertname": "TooManyErrors", "app": "shop", "severity": "page"}
    assert alert.annotations == {"summary": "shop: 100m/s, 3"}


@pytest.mark.parametrize(
    ("expr", "fault"),
    [
        ('{app="a"} |= "b"', "rule result is not a vector or scalar"),
        ("rate(http_requests_total[5m])", "parse error"),
        ('sum(rate({app="a"}[5m])', "parse error"),
    ],
)
def test_expressions_that_are_no_metric_query_on_logs_are_refused(expr: str, fault: str) -> None:
    with pytest.raises(BadConfigs, match=fault):
        parse_rules(f"groups: [{{name: a, rules: [{{record: b, expr: '{expr}'}}]}}]", "r.yml", LOGQL)


def test_watchkeeper_yml_names_rule_files_on_logs(tmp_path: Path) -> None:
    (tmp_path / "logs.yml").write_text(RULES)
    (tmp_path / "watchkeeper.yml").write_text("watch: {log_rules: ['logs.yml'], rules: false}")
    (file,) = load(tmp_path).rule_files
    assert file.language is LOGQL
    assert read_usable(tmp_path / "logs.yml").set_aside  # it is no PromQL
