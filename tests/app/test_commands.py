"""The command line, as typed; commands that ask a server are tried in tests/system."""

import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.peers import PEERS

from watchkeeper.app.cli import cli
from watchkeeper.store.state.db import StateStore

_SHARED = Path(__file__).parents[2] / "../shared"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    StateStore(f"sqlite:///{tmp_path / 'state.db'}").close()
    return tmp_path


def _run(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(cli, [str(word) for word in words], standalone_mode=False)
    status = done.return_value if isinstance(done.return_value, int) else int(done.exception is not None)
    return status, done.output + (str(done.exception) if done.exception else "")


def test_every_command_has_help_with_what_it_is_for() -> None:
    status, text = _run("--help")
    assert status == 0
    for command in ("up", "check", "query", "logs", "silence", "keys", "users", "test"):
        assert f"  {command} " in text
        assert "Usage:" in _run(command, "--help")[1]


def test_check_names_each_fault_and_fails(tmp_path: Path) -> None:
    (tmp_path / "alertmanager.yml").write_text("route: {receiver: nobody}\n")
    status, text = _run("check", tmp_path)
    assert status == 2
    assert "alertmanager.yml:1: route.receiver: got 'nobody'" in text
    assert text.rstrip().endswith("1 fault")


def test_check_of_good_files_says_what_it_read() -> None:
    status, text = _run("check", Path(__file__).parents[2] / "examples" / "first-alert")
    assert (status, text.splitlines()[-1]) == (0, "SUCCESS")
    assert "rules: 2 in 1 file" in text


_TWICE = "groups: [{name: g, rules: [{record: a, expr: '1'}, {record: a, expr: '2'}]}]"
_SLOW = "{global: {scrape_interval: 6m}, scrape_configs: [{job_name: a}, {job_name: b, scrape_interval: 5m}]}"


@pytest.mark.parametrize(
    ("name", "text", "status", "told"),
    [
        ("my.rules", "groups: [{name: g, rules: [{record: a, expr: '1'}]}]", 0, "1 rules found"),
        (
            "my.rules",
            "groups: [{name: g, rules: [{record: a, expr: 'sum('}]}]",
            2,
            "my.rules:1: groups[0].rules[0].expr",
        ),
        ("routes.yml", "{route: {receiver: a}, receivers: [{name: a}]}", 0, "receivers: 1"),
        ("routes.yml", "{route: {receiver: b}, receivers: [{name: a}]}", 2, "routes.yml:1: route.receiver"),
        ("tests.yml", "tests: []", 2, "watchkeeper test rules"),
        ("scrape.yml", "scrape_configs: [{job_name: a}]", 0, "scrape configs: 1"),
        ("scrape.yml", "scrape_config: []", 2, "scrape.yml:1: scrape_config: got an unknown field"),
    ],
)
def test_check_of_a_file_goes_by_what_is_in_it(tmp_path: Path, name: str, text: str, status: int, told: str) -> None:
    (tmp_path / name).write_text(text)
    got, shown = _run("check", tmp_path / name)
    assert (got, told in shown) == (status, True), shown


@pytest.mark.peer
@pytest.mark.parametrize(
    ("kind", "text", "flags"),
    [
        ("rules", _TWICE, ()),
        ("rules", _TWICE, ("--lint-fatal",)),
        ("rules", _TWICE, ("--lint-fatal", "--lint=none")),
        ("rules", _TWICE, ("--lint-fatal", "--lint=all")),
        ("rules", "groups: [{name: g, owner: me}]", ()),
        ("rules", "groups: [{name: g, owner: me}]", ("--ignore-unknown-fields",)),
        ("config", _SLOW, ("--lint-fatal",)),
        ("config", _SLOW, ("--lint-fatal", "--lint=too-long-scrape-interval")),
        ("config", _SLOW, ("--lint=all",)),
    ],
)
def test_lint_and_verdict_are_promtools(tmp_path: Path, kind: str, text: str, flags: tuple[str, ...]) -> None:
    path = tmp_path / "f.yml"
    path.write_text(text)
    words = [str(PEERS / "promtool"), "check", kind, *flags, str(path)]
    theirs = subprocess.run(words, capture_output=True, text=True)
    status, shown = _run("check", *flags, path)
    assert status == {0: 0, 1: 2, 3: 3}[theirs.returncode], (shown, theirs)
    for words_of_both in ("duplicate rule", "data point will be marked as stale - job: a, interval: 6m"):
        assert (words_of_both in shown) == (words_of_both in theirs.stdout + theirs.stderr)


def test_check_of_metrics_is_about_their_names(tmp_path: Path) -> None:
    good, bad, broken = (tmp_path / f"{name}.prom" for name in ("good", "bad", "broken"))
    good.write_text("# HELP up x\n# TYPE up gauge\nup 1\n")
    bad.write_text("# HELP fooTotal x\n# TYPE fooTotal gauge\nfooTotal 1\n")
    broken.write_text("up\n")
    assert _run("check", good)[0] == 0
    status, shown = _run("check", bad)
    assert (status, "fooTotal metric names should be written in 'snake_case'" in shown) == (3, True), shown
    status, shown = _run("check", broken)
    assert (status, "broken.prom: expected value after metric" in shown) == (2, True), shown
    assert _run("check", tmp_path / "none.prom")[0] == 2


def test_check_of_several_files_fails_when_one_is_bad(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(_TWICE)
    (tmp_path / "b.yml").write_text("groups: x")
    status, shown = _run("check", tmp_path / "a.yml", tmp_path / "b.yml", "--lint-fatal")
    assert status == 2
    assert [line for line in shown.splitlines() if line.startswith("Checking")] == [
        f"Checking {tmp_path / name}" for name in ("a.yml", "b.yml")
    ]


def test_check_finds_a_bad_dashboard(tmp_path: Path) -> None:
    (tmp_path / "dashboards").mkdir()
    (tmp_path / "dashboards" / "bad.json").write_text("{")
    status, text = _run("check", tmp_path)
    assert status == 2
    assert "bad.json" in text


def test_a_key_is_shown_once_and_can_be_revoked(data: Path) -> None:
    status, text = _run("keys", "add", "grafana", "--scopes", "read", "--data", data)
    assert status == 0
    key = text.split()[-1]
    assert key.startswith("wk_")
    listed = _run("keys", "list", "--data", data)[1]
    assert "grafana" in listed
    assert key not in listed
    assert _run("keys", "add", "grafana", "--scopes", "read", "--data", data)[0] == 1, "the name is taken"
    assert _run("keys", "revoke", "1", "--data", data)[0] == 0
    assert "revoked" in _run("keys", "list", "--data", data)[1]


def test_a_key_with_an_unknown_scope_is_refused_and_the_scopes_named(data: Path) -> None:
    status, text = _run("keys", "add", "x", "--scopes", "everything", "--data", data)
    assert status == 1
    assert "got scope 'everything', want some of read, metrics:write" in text


def test_people_are_added_and_the_last_admin_stays(data: Path) -> None:
    assert _run("users", "add", "ann", "--role", "Admin", "--password", "long enough", "--data", data)[0] == 0
    assert _run("users", "add", "bob", "--password", "long enough", "--data", data)[0] == 0
    assert _run("users", "disable", "ann", "--data", data)[0] == 1
    assert _run("users", "role", "bob", "Admin", "--data", data)[0] == 0
    assert _run("users", "disable", "ann", "--data", data)[0] == 0
    assert "yes" in _run("users", "list", "--data", data)[1]


def test_a_short_password_is_refused(data: Path) -> None:
    status, text = _run("users", "add", "ann", "--password", "short", "--data", data)
    assert status == 1
    assert "want at least" in text


def test_without_a_data_directory_nothing_is_made(tmp_path: Path) -> None:
    status, text = _run("keys", "list", "--data", tmp_path / "gone")
    assert status == 1
    assert "cannot find data directory" in text
    assert not (tmp_path / "gone").exists()


def test_scripts_of_promql_are_counted(tmp_path: Path) -> None:
    script = tmp_path / "a.test"
    script.write_text("load 1m\n  m 1 2 3\n\neval instant at 2m m\n  m 3\n\neval instant at 2m m\n  m 4\n")
    status, text = _run("test", "promql", script)
    assert status == 1
    assert text.splitlines()[-1] == "1 passed, 1 failed"


def test_unit_tests_of_rules_pass_and_fail(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text("groups: [{name: g, rules: [{record: r, expr: 'm * 2'}]}]")
    test = "rule_files: [rules.yml]\ntests: [{input_series: [{series: m, values: '1 2'}], promql_expr_test: [%s]}]"
    case = "{expr: r, eval_time: 1m, exp_samples: [{labels: r, value: %d}]}"
    (tmp_path / "t.yml").write_text(test % (case % 4))
    assert _run("test", "rules", tmp_path / "t.yml")[0] == 0
    (tmp_path / "t.yml").write_text(test % (case % 5))
    status, text = _run("test", "rules", tmp_path / "t.yml")
    assert status == 1
    assert "FAILED" in text


@pytest.mark.skipif(not _SHARED.exists(), reason="the shared alert rules are not beside the clone")
def test_rule_unit_tests_of_others_pass(tmp_path: Path) -> None:
    upstream = _SHARED / "alert_rules/upstream/celery-exporter"
    (tmp_path / "tests").mkdir()
    shutil.copy(upstream / "prometheus_alerts.yaml", tmp_path)  # the tests name it as ../prometheus_alerts.yaml
    shutil.copy(upstream / "promtool_tests.yaml", tmp_path / "tests")
    assert _run("test", "rules", tmp_path / "tests" / "promtool_tests.yaml")[0] == 0


def test_rules_lists_bundles_and_their_alerts_and_shows_what_to_do() -> None:
    assert "postgresql" in _run("rules", "list")[1]
    assert "RedisDown" in _run("rules", "list", "redis")[1]
    assert "- alert: RedisDown" in _run("rules", "show", "redis")[1]
    assert "redis-cli ping" in _run("rules", "show", "RedisDown")[1]
    assert "want one of celery, " in _run("rules", "show", "nosuch")[1]
