"""SLO files: the rules that follow from them, by promtool's word, and what they do."""

import subprocess
from pathlib import Path

import pytest

from watchkeeper.app.config import load
from watchkeeper.model.errors import BadConfigs
from watchkeeper.rules.slo import read_slos, slo_rules
from watchkeeper.rules.unit_tests import run_unit_tests

SLO = """
version: prometheus/v1
service: shop
labels: {team: shop}
slos:
  - name: availability
    objective: 99.9
    description: Requests are answered.
    sli:
      events:
        error_query: sum(rate(http_requests_total{job="shop",code=~"5.."}[{{.window}}]))
        total_query: sum(rate(http_requests_total{job="shop"}[{{.window}}]))
    alerting: {name: ShopFails, labels: {tier: web}, page_alert: {annotations: {runbook_url: https://run/book}}}
  - name: latency
    objective: 95
    period: 28d
    sli: {raw: {error_ratio_query: '1 - avg(rate(fast[{{ .window }}])) / avg(rate(every[{{ .window }}]))'}}
    alerting: {page_alert: {disable: true}, ticket_alert: {labels: {severity: info}}}
"""
TEST = """
rule_files: [made.yml]
evaluation_interval: 1m
group_eval_order:
  - sloth-slo-sli-recordings-shop-availability
  - sloth-slo-meta-recordings-shop-availability
  - sloth-slo-alerts-shop-availability
tests:
  - interval: 1m
    input_series:
      - {series: 'http_requests_total{job="shop",code="500"}', values: 0x60 0+20x60 1200x180}
      - {series: 'http_requests_total{job="shop",code="200"}', values: 0+980x300}
    promql_expr_test:
      - expr: round(sum by (sloth_id) (slo:error_budget:ratio{sloth_slo="availability"}) * 1000, 0.001)
        eval_time: 10m
        exp_samples: [{labels: '{sloth_id="shop-availability"}', value: 1}]
      - expr: round(sum by (sloth_window) (slo:current_burn_rate:ratio{sloth_slo="availability"}), 0.001)
        eval_time: 100m
        exp_samples: [{labels: '{sloth_window="5m"}', value: 20}]
    alert_rule_test:
      - {eval_time: 50m, alertname: ShopFails, exp_alerts: []}
      - eval_time: 120m
        alertname: ShopFails
        exp_alerts:
          - exp_labels:
              {severity: critical, sloth_severity: page, tier: web, team: shop, sloth_id: shop-availability,
               sloth_service: shop, sloth_slo: availability}
            exp_annotations:
              title: "(page) shop availability: the error budget burns too fast"
              summary: "shop availability: the rate at which the error budget burns is too fast; 2% of events are bad"
              description: Requests are answered.
              runbook_url: https://run/book
          - exp_labels:
              {severity: warning, sloth_severity: ticket, tier: web, team: shop, sloth_id: shop-availability,
               sloth_service: shop, sloth_slo: availability}
            exp_annotations:
              title: "(ticket) shop availability: the error budget burns too fast"
              summary: >-
                shop availability: the rate at which the error budget burns is too fast to last;
                0.9934% of events are bad
              description: Requests are answered.
      - eval_time: 290m
        alertname: ShopFails
        exp_alerts:
          - exp_labels:
              {severity: warning, sloth_severity: ticket, tier: web, team: shop, sloth_id: shop-availability,
               sloth_service: shop, sloth_slo: availability}
            exp_annotations:
              title: "(ticket) shop availability: the error budget burns too fast"
              summary: >-
                shop availability: the rate at which the error budget burns is too fast to last;
                0.4205% of events are bad
              description: Requests are answered.
"""


@pytest.fixture
def slo(tmp_path: Path) -> Path:
    path = tmp_path / "slo.yml"
    path.write_text(SLO)
    (tmp_path / "made.yml").write_text(slo_rules(path))
    (tmp_path / "test.yml").write_text(TEST)
    return path


@pytest.mark.peer
def test_promtool_takes_the_rules_and_sees_budgets_burn(promtool: str, slo: Path) -> None:
    check = [promtool, "check", "rules", "--lint=all", "--lint-fatal", "made.yml"]
    for command in (check, [promtool, "test", "rules", "test.yml"]):
        done = subprocess.run(command, cwd=slo.parent, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_budget_that_burns_pages_and_stops_when_it_does_no_more(slo: Path) -> None:
    (outcome,) = run_unit_tests([slo.parent / "test.yml"])
    assert outcome.failures == ()


def test_factors_follow_from_the_period(slo: Path) -> None:
    (alert,) = [rule for group in read_slos(slo).groups for rule in group.rules if rule.alert == "shop-latency"]
    assert alert.labels == {"severity": "info", "sloth_severity": "ticket"}
    assert "> (2.8 * 0.05)" in alert.expr
    assert "> (0.933333 * 0.05)" in alert.expr
    assert "slo:sli_error:ratio_rate28d" in {rule.record for group in read_slos(slo).groups for rule in group.rules}


def test_watchkeeper_yml_names_slo_files_whose_rules_are_evaluated(slo: Path) -> None:
    (slo.parent / "watchkeeper.yml").write_text("watch: {slos: ['slo.yml'], rules: false}")
    (file,) = load(slo.parent).rule_files
    assert file.path == str(slo)
    assert file.rule_count == 33


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("service: a b", "slo.yml:1: service: got 'a b', want a name"),
        ("service: a\nslos: [{name: x, objective: 100}]", "slos[0].objective: got '100', want less than 100"),
        (
            "service: a\nslos: [{name: x, objective: 99}]",
            "slos[0].sli: got both or neither, want one of events and raw",
        ),
        (
            "service: a\nslos: [{name: x, objective: 99, sli: {raw: {error_ratio_query: up}}}]",
            "slos[0].sli.raw.error_ratio_query: got 'up', want a query with [{{.window}}]",
        ),
        (
            "service: a\nslos: [{name: x, objective: 99, sli: {raw: {error_ratio_query: 'rate(a[{{.window}}]'}}}]",
            "could not parse expression",
        ),
        ("service: a\nversion: openslo/v1", "version: got 'openslo/v1', want prometheus/v1"),
    ],
)
def test_faults_name_place_got_and_want(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "slo.yml").write_text(text)
    with pytest.raises(BadConfigs) as caught:
        slo_rules(tmp_path / "slo.yml")
    assert fault in str(caught.value)
