"""The built-in rules: valid by promtool's word, and doing what their unit tests say."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from watchkeeper.model.document import parse
from watchkeeper.rules.bundles import runbooks
from watchkeeper.rules.files import check_rules

BUILTIN = sorted((Path(__file__).parents[2] / "src/watchkeeper/rules/builtin").glob("*.yml"))
UNIT_TESTS = sorted((Path(__file__).parent / "builtin").glob("*_test.yml"))


def test_every_alert_has_a_severity_and_says_what_is_wrong() -> None:
    for file in check_rules(BUILTIN):
        for rule in (rule for group in file.groups for rule in group.rules if rule.alert):
            assert rule.labels["severity"] in ("critical", "warning", "info"), rule.alert
            assert rule.annotations.keys() == {"summary", "description", "runbook_url"}, rule.alert
            assert rule.annotations["runbook_url"] == "{{ $externalURL }}/runbooks/" + rule.alert


def test_every_file_has_unit_tests() -> None:
    assert {path.stem for path in BUILTIN} == {path.stem.split("_")[0] for path in UNIT_TESTS}


def test_every_alert_has_a_runbook_and_fires_in_a_unit_test() -> None:
    alerts = {rule.alert for file in check_rules(BUILTIN) for group in file.groups for rule in group.rules} - {""}
    assert alerts == runbooks().keys()
    cases = [case for path in UNIT_TESTS for test in load(path)["tests"] for case in test.get("alert_rule_test", [])]
    assert alerts == {case["alertname"] for case in cases if case.get("exp_alerts")}


def test_the_teams_alerts_are_there_by_name_with_their_thresholds() -> None:
    rules = {rule.alert: rule for file in check_rules(BUILTIN) for group in file.groups for rule in group.rules}
    for name, severity, minutes, threshold in (
        ("ContainerDown", "critical", 1, "> 60"),
        ("PostgreSQLDown", "critical", 1, "== 0"),
        ("HighMemoryUsage", "warning", 5, "> 0.9"),
        ("HighCPUUsage", "warning", 10, "> 0.8"),
        ("LowDiskSpace", "warning", 5, "> 0.9"),
        ("HighDatabaseConnections", "warning", 5, "> 80"),
        ("DatabaseConnectionIssues", "warning", 2, "< 1"),
        ("HighErrorRate", "critical", 5, "> 0.05"),
        ("CPUUsageAbove80", "info", 5, "cpu_usage > 80"),
    ):
        rule = rules[name]
        assert (rule.labels["severity"], rule.for_ms) == (severity, minutes * 60_000), name
        assert threshold in rule.expr, name


def load(path: Path) -> Any:
    return parse(path.read_bytes(), path.name).content


@pytest.mark.peer
@pytest.mark.parametrize("path", BUILTIN, ids=lambda path: path.name)
def test_promtool_finds_nothing_to_complain_about(promtool: str, path: Path) -> None:
    peer = subprocess.run([promtool, "check", "rules", "--lint=all", "--lint-fatal", str(path)], capture_output=True)
    assert peer.returncode == 0, peer.stderr


@pytest.mark.peer
@pytest.mark.parametrize("path", UNIT_TESTS, ids=lambda path: path.name)
def test_promtool_sees_the_rules_do_what_they_should(promtool: str, path: Path) -> None:
    peer = subprocess.run([promtool, "test", "rules", path.name], cwd=path.parent, capture_output=True, text=True)
    assert peer.returncode == 0, peer.stdout + peer.stderr
