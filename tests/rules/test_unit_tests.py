"""Rule unit tests in promtool's format: promtool's verdicts, and failures a person can read."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from watchkeeper.rules.unit_test_report import in_colours, junit
from watchkeeper.rules.unit_tests import Options, run_unit_tests

CELERY = Path(__file__).parents[3] / "shared/alert_rules/upstream/celery-exporter"
RULES = """
groups:
- name: alerts
  rules:
  - alert: Down
    expr: up == 0
    for: 5m
    labels: {severity: page}
    annotations: {summary: "{{ $labels.job }} {{ $value }}"}
  - {alert: Always, expr: 1}
- name: records
  interval: 5m
  rules:
  - {record: fixed, expr: 1}
  - {record: doubled, expr: fixed * 2}
  - {record: counted, expr: "sum without (instance) (count_over_time(test[1m]))"}
- name: twice
  rules:
  - {record: both, expr: 1, labels: {when: always}}
  - {record: both, expr: 1, labels: {when: always}}
- name: reader
  rules:
  - {record: seen, expr: doubled}
  - {record: summed, expr: sum(sizes)}
"""
UP = {"series": 'up{job="a", instance="b"}', "values": "0x60"}
FIRING = {"exp_labels": {"severity": "page", "job": "a", "instance": "b"}, "exp_annotations": {"summary": "a 0"}}


def alert(eval_time: str, *expected: Mapping[str, object], name: str = "Down") -> dict[str, object]:
    return {
        "input_series": [UP],
        "alert_rule_test": [{"eval_time": eval_time, "alertname": name, "exp_alerts": [*expected]}],
    }


def expr(text: str, at: str, *samples: dict[str, object], **more: object) -> dict[str, object]:
    return {"promql_expr_test": [{"expr": text, "eval_time": at, "exp_samples": [*samples]}], **more}


SERIES = [{"series": 'test{job="t", instance="x"}', "values": "0+1x20 _ _ stale 5"}]
SIZES = [
    {"series": 'sizes{job="a"}', "values": "{{count:4 sum:6 buckets:[1 2 1]}}+{{count:1 sum:1 buckets:[1]}}x9"},
    {"series": 'sizes{job="b"}', "values": "_ {{schema:1 count:2 sum:3 z_bucket:2 z_bucket_w:0.5}}x9"},
    {"series": 'sized{job="c"}', "values": "{{schema:-53 count:5 sum:8 custom_values:[1 2] buckets:[2 3]}}x9"},
]
CASES: dict[str, dict[str, object]] = {
    "not yet": alert("4m"),
    "not yet, but expected": alert("4m", FIRING),
    "fires": alert("5m", FIRING),
    "fires, not expected": alert("5m"),
    "other annotation": alert("5m", {**FIRING, "exp_annotations": {"summary": "a 1"}}),
    "other label": alert("5m", {**FIRING, "exp_labels": {"severity": "mail"}}),
    "between two evaluations": alert("5m30s", FIRING),
    "always": alert("0s", {}, name="Always"),
    "no such alert": alert("5m", name="Nosuch"),
    "no such alert, but expected": alert("5m", {}, name="Nosuch"),
    "recorded in order": expr("doubled", "0", {"labels": "doubled", "value": 2}),
    "wrong value": expr("doubled", "1m", {"labels": "doubled", "value": 3}),
    "wrong labels": expr("doubled", "1m", {"labels": "double", "value": 2}),
    "one too many": expr("doubled", "1m", {"labels": "doubled", "value": 2}, {"labels": "x", "value": 2}),
    "states": expr(
        "count by (alertname, alertstate) (ALERTS)",
        "4m",
        {"labels": '{alertname="Down",alertstate="pending"}', "value": 1},
        {"labels": '{alertname="Always",alertstate="firing"}', "value": 1},
        input_series=[UP],
    ),
    "evaluated each minute whatever the group says": expr("count_over_time(fixed[10m])", "10m", {"value": 10}),
    "series of an interval": expr(
        "counted", "2m", {"labels": 'counted{job="t"}', "value": 6}, input_series=SERIES, interval="10s"
    ),
    "stale": expr("test", "23m", input_series=SERIES),
    "after stale": expr("test", "24m", {"labels": 'test{job="t", instance="x"}', "value": 5}, input_series=SERIES),
    "nothing": expr("nosuch", "1m"),
    "scalar": expr("1 + 1", "1m", {"value": 2}),
    "bad expression": expr("sum(", "1m"),
    "bad series": {"input_series": [{"series": "a{", "values": "1"}]},
    "bad values": {"input_series": [{"series": "a", "values": "one"}]},
    "unknown field": {"input_serie": []},
    "external label": {
        "external_labels": {"x": "y"},
        **expr("vector(1)", "0", {"value": 1}),
    },
    "equal to the last digits": expr("0.1 + 0.2", "0", {"value": 0.30000000000000004}),
    "but for the last digits": expr("0.1 + 0.2", "0", {"value": 0.3}),
    "alert without a name": alert("5m", name=""),
    "alert without a name after a failure": {
        "input_series": [UP],
        "alert_rule_test": [{"eval_time": "1m", "alertname": "Always"}, {"eval_time": "2m"}, {"eval_time": "1m"}],
    },
    "histogram": expr(
        "sizes",
        "0",
        {"labels": 'sizes{job="a"}', "histogram": "{{count:4 sum:6 buckets:[1 2 1]}}"},
        input_series=SIZES,
    ),
    "histogram of which a reset is ruled out": expr(
        'sizes{job="a"}',
        "2m",
        {"labels": 'sizes{job="a"}', "histogram": "{{count:6 sum:8 counter_reset_hint:not_reset buckets:[3 2 1]}}"},
        input_series=SIZES,
    ),
    "histogram without its hint": expr(
        'sizes{job="a"}',
        "2m",
        {"labels": 'sizes{job="a"}', "histogram": "{{count:6 sum:8 buckets:[3 2 1]}}"},
        input_series=SIZES,
    ),
    "other histogram": expr(
        "sizes", "0", {"labels": 'sizes{job="a"}', "histogram": "{{count:4 sum:7}}"}, input_series=SIZES
    ),
    "histogram of custom buckets": expr(
        "sized",
        "0",
        {"labels": 'sized{job="c"}', "histogram": "{{schema:-53 count:5 sum:8 custom_values:[1 2] buckets:[2 3]}}"},
        input_series=SIZES,
    ),
    "histogram that a rule recorded": expr(
        "histogram_count(summed)", "3m", {"labels": "{}", "value": 9}, input_series=SIZES
    ),
    "quantile": expr(
        "histogram_quantile(0.5, sized)",
        "3m",
        {"labels": '{job="c"}', "value": 1.1666666666666667},
        input_series=SIZES,
    ),
    "broken histogram": expr("sizes", "0", input_series=[{"series": "a", "values": "{{count:x}}"}]),
    "infinite": expr("1 / 0", "0", {"value": float("inf")}),
}


PASSING = {
    "not yet",
    "fires",
    "between two evaluations",
    "always",
    "no such alert",
    "recorded in order",
    "states",
    "evaluated each minute whatever the group says",
    "series of an interval",
    "stale",
    "after stale",
    "nothing",
    "scalar",
    "external label",
    "equal to the last digits",
    "infinite",
    "histogram",
    "histogram of which a reset is ruled out",
    "histogram of custom buckets",
    "histogram that a rule recorded",
    "quantile",
}


def write(folder: Path, tests: list[dict[str, object]], **more: object) -> Path:
    (folder / "r.yml").write_text(RULES)
    path = folder / "t.yml"
    path.write_text(yaml.safe_dump({"rule_files": ["r.yml"], "evaluation_interval": "1m", "tests": tests, **more}))
    return path


def passes(promtool: str, path: Path) -> bool:
    return subprocess.run([promtool, "test", "rules", path.name], cwd=path.parent, capture_output=True).returncode == 0


@pytest.mark.peer
@pytest.mark.parametrize("name", CASES)
def test_verdict_is_promtools(promtool: str, tmp_path: Path, name: str) -> None:
    path = write(tmp_path, [CASES[name]])
    (outcome,) = run_unit_tests([path])
    assert (not outcome.failures) == passes(promtool, path), outcome.failures
    assert (not outcome.failures) == (name in PASSING)


@pytest.mark.peer
def test_two_rules_that_write_one_series_fail_as_with_promtool(promtool: str, tmp_path: Path) -> None:
    path = write(tmp_path, [CASES["nothing"]])
    (tmp_path / "r.yml").write_text("groups: [{name: g, rules: [{record: a, expr: '1'}, {record: a, expr: '2'}]}]")
    (outcome,) = run_unit_tests([path])
    assert outcome.failures == ("    rule: a, time: 0s, err: duplicate sample for timestamp",)
    assert not passes(promtool, path)


@pytest.mark.peer
def test_a_well_known_exporters_own_tests_pass_as_with_promtool(promtool: str, tmp_path: Path) -> None:
    if not CELERY.is_dir():
        pytest.skip(f"{CELERY} is absent")
    (tmp_path / "tests").mkdir()
    for name in ("prometheus_alerts.yaml", "prometheus_rules.yaml"):
        shutil.copy(CELERY / name, tmp_path)
    path = Path(shutil.copy(CELERY / "promtool_tests.yaml", tmp_path / "tests"))
    (outcome,) = run_unit_tests([path])
    assert (not outcome.failures) == passes(promtool, path), outcome.failures


def test_our_built_in_rules_do_what_they_should() -> None:
    paths = sorted((Path(__file__).parent / "builtin").glob("*_test.yml"))
    assert [failure for outcome in run_unit_tests(paths) for failure in outcome.failures] == []


def promtools_failures(promtool: str, path: Path) -> list[str]:
    """Give promtool's lines, without empty ones between failures and the names that only alerts have."""
    done = subprocess.run([promtool, "test", "rules", path.name], cwd=path.parent, capture_output=True, text=True)
    return [line for line in done.stderr.splitlines()[1:] if line and not line.startswith("    name:")]


@pytest.mark.peer
def test_failures_read_as_promtools(promtool: str, tmp_path: Path) -> None:
    shown = ["not yet, but expected", "fires, not expected", "other annotation", "no such alert, but expected"]
    shown += ["wrong value", "wrong labels", "one too many", "other histogram", "but for the last digits"]
    shown += ["alert without a name", "alert without a name after a failure", "nothing"]
    two = expr("1 / 0", "0", {"value": 123456789.25}, {"labels": "b{x='y'}", "value": float("-inf")})
    tests = [{"name": name.replace(" ", "-"), **CASES[name]} for name in shown] + [two]
    path = write(tmp_path, tests)
    (outcome,) = run_unit_tests([path])
    lines = [line for failure in outcome.failures for line in failure.splitlines() if not line.startswith("    name:")]
    assert lines == promtools_failures(promtool, path)
    assert len(lines) > 50
    assert outcome.failures[0].startswith(
        "    name: not-yet,-but-expected,\n    alertname: Down, time: 4m, \n        exp:[\n"
    )


def test_differences_are_shown_in_one_list(tmp_path: Path) -> None:
    path = write(tmp_path, [CASES["other label"]])
    (failure,) = run_unit_tests([path], Options(report=in_colours))[0].failures
    assert '\x1b[0;31m-     "severity": "mail"\x1b[0m' in failure
    assert '\x1b[0;32m+     "severity": "page"\x1b[0m' in failure
    assert '\n                  "alertname": "Down",\n' in failure


@pytest.mark.peer
def test_debugging_shows_every_sample_as_promtool_does(promtool: str, tmp_path: Path) -> None:
    path = write(tmp_path, [{"name": "one", "interval": "30s", **alert("2m")}])
    told: list[str] = []
    run_unit_tests([path], Options(debug=told.append))
    done = subprocess.run(
        [promtool, "test", "rules", "--debug", path.name], cwd=tmp_path, capture_output=True, text=True
    )
    theirs = [line for line in done.stdout.splitlines() if line]
    assert told[0] == theirs[0] == "DEBUG: Starting test one"
    assert told[1].splitlines()[0] == theirs[1] == "DEBUG: Dump of all data (input_series and rules) at 2m1s:"
    assert set(told[1].splitlines()) == {
        line for line in theirs[1:] if not line.startswith("DEBUG: Test") and line != "  SUCCESS"
    }
    assert told[2].startswith("DEBUG: Test one finished, took ") and told[2].endswith("ms")


@pytest.mark.peer
@pytest.mark.parametrize("flags", [(), ("--ignore-unknown-fields",)])
def test_fields_of_rule_files_that_are_not_known_are_refused_or_ignored(
    promtool: str, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    path = write(tmp_path, [CASES["fires"]])
    (tmp_path / "r.yml").write_text(RULES.replace("- name: alerts", "- name: alerts\n  owner: me"))
    (outcome,) = run_unit_tests([path], Options(ignore_unknown=bool(flags)))
    done = subprocess.run([promtool, "test", "rules", *flags, path.name], cwd=tmp_path, capture_output=True)
    assert (not outcome.failures) == (done.returncode == 0) == bool(flags)


def test_tests_are_chosen_by_name(tmp_path: Path) -> None:
    path = write(tmp_path, [{"name": "bad", **CASES["wrong value"]}, {"name": "good", **CASES["fires"]}])
    assert run_unit_tests([path], Options(only=lambda name: name == "good"))[0].failures == ()


def test_results_are_written_as_junit_does(tmp_path: Path) -> None:
    path = write(tmp_path, [{"name": "bad", **CASES["wrong value"]}, {"name": "good", **CASES["fires"]}])
    (tmp_path / "none.yml").write_text("what: 1")
    report = junit(run_unit_tests([path, tmp_path / "none.yml"])).decode()
    assert 't.yml" tests="2" failures="1" errors="0" skipped="0"' in report
    assert '<testcase name="bad"><failure>    expr: "doubled", time: 1m,' in report
    assert '<testcase name="good" />' in report
    assert 'tests="1" failures="0" errors="1"' in report
    assert '<testcase name="unknown"><error>' in report


@pytest.mark.peer
def test_groups_are_evaluated_in_the_order_asked_for(promtool: str, tmp_path: Path) -> None:
    seen = expr("seen", "0", {"labels": "seen", "value": 2})
    path = write(tmp_path, [seen], group_eval_order=["records", "reader"])
    assert run_unit_tests([path])[0].failures == () and passes(promtool, path)
    path = write(tmp_path, [expr("seen", "0")], group_eval_order=["reader", "records"])
    assert run_unit_tests([path])[0].failures == () and passes(promtool, path)


@pytest.mark.parametrize("text", ["", "tests: [", "rule_files: [nosuch.yml]", "group_eval_order: [a, a]", "what: 1"])
def test_files_that_say_little(tmp_path: Path, text: str) -> None:
    path = tmp_path / "t.yml"
    path.write_text(text)
    (outcome,) = run_unit_tests([path, path])[:1]
    assert bool(outcome.failures) == (text in ("tests: [", "group_eval_order: [a, a]", "what: 1"))
    assert bool(outcome.warnings) == ("nosuch" in text)


def test_absent_file_is_a_failure(tmp_path: Path) -> None:
    assert "No such file" in run_unit_tests([tmp_path / "absent.yml"])[0].failures[0]
