"""Tests of routing in files: each kind of expectation is met, or missed with its reason."""

import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.notify.peer import program

from watchkeeper.app.cli import cli
from watchkeeper.model.errors import BadConfigs
from watchkeeper.notify.route_tests import Outcome, run_route_tests

CONFIG = """
route:
  receiver: mail
  group_by: [alertname]
  routes:
    - {receiver: pager, matchers: [severity="critical"], continue: true, group_wait: 10s}
    - {receiver: incidents, matchers: [severity="critical"], group_by: [cluster, service]}
    - {receiver: slack, matchers: [severity="warning"], mute_time_intervals: [night], repeat_interval: 1h}
receivers: [{name: mail}, {name: pager}, {name: incidents}, {name: slack}]
inhibit_rules:
  - {source_matchers: [alertname="ClusterDown"], target_matchers: [severity=~"warning|critical"], equal: [cluster]}
time_intervals:
  - name: night
    time_intervals:
      - times: [{start_time: "22:00", end_time: "24:00"}, {start_time: "00:00", end_time: "06:00"}]
        location: Europe/Berlin
"""
CRITICAL = "labels: {alertname: A, severity: critical, cluster: eu, service: api}"
DOWN = "{alertname: ClusterDown, cluster: eu}"
WARNING = "labels: {alertname: A, severity: warning}"


def outcome(folder: Path, *tests: str) -> Outcome:
    (folder / "alertmanager.yml").write_text(CONFIG)
    (folder / "t.yml").write_text("tests:\n" + "".join(f"  - {{{one}}}\n" for one in tests))
    return run_route_tests(folder / "t.yml")


@pytest.mark.parametrize(
    "test",
    [
        f"{CRITICAL}, receivers: [pager, incidents], notified: [pager, incidents]",
        f"{CRITICAL}, groups: {{pager: {{alertname: A}}, incidents: {{cluster: eu, service: api}}}}",
        f"{WARNING}, receivers: [slack], at: '2024-07-13T20:30:00Z', notified: [], muted_by: [night]",
        f"{WARNING}, receivers: [slack], at: 2024-01-13T20:30:00Z, notified: [slack], muted_by: []",
        f"{WARNING}, repeat_interval: 1h, group: {{alertname: A}}, routes: ['{{}}/{{severity=\"warning\"}}']",
        f"{CRITICAL}, firing: [{DOWN}, {{alertname: X}}], notified: [], inhibited_by: [{DOWN}]",
        f"{CRITICAL}, firing: [{{alertname: ClusterDown, cluster: us}}], inhibited_by: []",
        f"{WARNING}, silences: ['severity=~\"warn.*\"'], silenced: true, notified: []",
        "labels: {alertname: A, severity: info}, receivers: [mail], silenced: false",
    ],
)  # fmt: skip
def test_what_is_as_expected_passes(tmp_path: Path, test: str) -> None:
    assert outcome(tmp_path, test).failures == ()


@pytest.mark.parametrize(
    ("test", "text"),
    [
        (f"{WARNING}, receivers: [pager]", "receivers: got [slack], want [pager]"),
        (f"{WARNING}, group: {{}}", 'group for slack: got {alertname="A"}, want {}'),
        (f"{WARNING}, group_wait: 10s", "group_wait for slack: got 30s, want 10s"),
        (f"{WARNING}, silenced: true", "silenced: got false, want true"),
        (f"{WARNING}, at: 2024-07-13T20:30:00Z, notified: [slack]", "notified: got [], want [slack]"),
        (f"{CRITICAL}, inhibited_by: [{{alertname: B}}]", 'inhibited_by: got [], want [{alertname="B"}]'),
    ],
)
def test_what_is_otherwise_says_got_and_want(tmp_path: Path, test: str, text: str) -> None:
    (failure,) = outcome(tmp_path, test).failures
    assert failure.text == text


def test_a_failure_shows_the_way_through_the_tree(tmp_path: Path) -> None:
    (failure,) = outcome(tmp_path, WARNING + ", receivers: [pager], name: warnings page").failures
    assert (failure.line, failure.name) == (2, "warnings page")
    assert failure.because == (
        "✓ {} → mail",
        '  ✗ {severity="critical"} → pager: its severity is "warning"',
        '  ✗ {severity="critical"} → incidents: its severity is "warning"',
        '  ✓ {severity="warning"} → slack  ← goes here',
    )


def test_names_that_the_configuration_lacks_are_faults_of_the_test(tmp_path: Path) -> None:
    with pytest.raises(BadConfigs) as raised:
        outcome(tmp_path, f"{WARNING}, receivers: [nobody], muted_by: [never]", "receivers: [mail]")
    assert [str(one).partition("t.yml:")[2] for one in raised.value.faults] == [
        "2: tests[0].receivers[0]: got 'nobody', want a receiver of alertmanager.yml",
        "2: tests[0].muted_by[0]: got 'never', want a time interval of alertmanager.yml",
        "3: tests[1].labels: got none, want the labels of an alert",
    ]


def test_the_command_counts_and_fails(tmp_path: Path) -> None:
    outcome(tmp_path, f"{WARNING}, receivers: [slack]", f"{WARNING}, receivers: [mail]")
    done = CliRunner().invoke(cli, ["test", "routes", str(tmp_path / "t.yml")], standalone_mode=False)
    assert done.return_value == 1
    assert "t.yml:3: " in done.output and "1 passed, 1 failed" in done.output


@pytest.mark.peer
@pytest.mark.parametrize("labels", [{"severity": "critical"}, {"severity": "warning"}, {"severity": "x"}, {"a": "b"}])
def test_receivers_are_those_that_amtool_finds(tmp_path: Path, labels: dict[str, str]) -> None:
    (tmp_path / "alertmanager.yml").write_text(CONFIG)
    pairs = [f"{name}={value}" for name, value in labels.items()]
    command = [program("amtool"), "config", "routes", "test", f"--config.file={tmp_path / 'alertmanager.yml'}", *pairs]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().split(",")
    inside = ", ".join(f"{name}: {value}" for name, value in labels.items())
    assert outcome(tmp_path, f"labels: {{{inside}}}, receivers: [{', '.join(found)}]").failures == ()
