"""Rule files: the same verdicts as promtool's, and errors that say where."""

import subprocess
from pathlib import Path

import pytest

from watchkeeper.model.errors import BadConfig, BadConfigs
from watchkeeper.rules.files import check_rules, parse_rules, read_rules

SHARED_RULES = Path(__file__).parents[3] / "shared/alert_rules"


def group(rule: str, more: str = "") -> str:
    return f"groups:\n- name: g\n{more}  rules:\n  - {rule}\n"


BAD = {
    "no group name": "groups:\n- rules: []\n",
    "empty group name": "groups:\n- name: ''\n  rules: []\n",
    "group twice": "groups:\n- name: a\n  rules: []\n- name: a\n  rules: []\n",
    "unknown field of a group": group("{record: a, expr: b}", "  intervall: 1m\n"),
    "unknown field of a rule": group("{record: a, expr: b, fro: 1m}"),
    "unknown field of the file": "groups: []\nrules: []\n",
    "python's own name of a field": group("{alert: a, expr: b, for_ms: 1m}"),
    "record and alert": group("{record: a, alert: b, expr: c}"),
    "neither record nor alert": group("{expr: c}"),
    "no expression": group("{record: a}"),
    "empty expression": group("{record: a, expr: ''}"),
    "bad expression": group("{record: a, expr: 'sum('}"),
    "unknown function": group("{record: a, expr: 'nosuch(x)'}"),
    "bad type": group("{record: a, expr: 'rate(x)'}"),
    "record with for": group("{record: a, expr: b, for: 1m}"),
    "record with keep_firing_for": group("{record: a, expr: b, keep_firing_for: 1m}"),
    "record with annotations": group("{record: a, expr: b, annotations: {a: b}}"),
    "record with braces": group("{record: 'a{b=\"c\"}', expr: b}"),
    "label __name__": group("{record: a, expr: b, labels: {__name__: c}}"),
    "empty label name": group("{alert: a, expr: b, labels: {'': c}}"),
    "empty annotation name": group("{alert: a, expr: b, annotations: {'': c}}"),
    "group label __name__": group("{record: a, expr: b}", "  labels: {__name__: x}\n"),
    "bad template": group("{alert: a, expr: b, annotations: {s: '{{ nope }}'}}"),
    "bad template in a label": group("{alert: a, expr: b, labels: {s: '{{ $value'}}"),
    "undefined variable": group("{alert: a, expr: b, annotations: {s: '{{ $nope }}'}}"),
    "template with tmpl": group("{alert: a, expr: b, annotations: {s: '{{ tmpl \"x\" . }}'}}"),
    "bad for": group("{alert: a, expr: b, for: soon}"),
    "for without unit": group("{alert: a, expr: b, for: 5}"),
    "negative for": group("{alert: a, expr: b, for: -5m}"),
    "bad interval": group("{record: a, expr: b}", "  interval: 1x\n"),
    "bad query_offset": group("{record: a, expr: b}", "  query_offset: x\n"),
    "limit is no number": group("{record: a, expr: b}", "  limit: many\n"),
    "labels as a list": group("{alert: a, expr: b, labels: [a]}"),
    "rules as a mapping": "groups:\n- name: a\n  rules: {a: b}\n",
    "groups as a mapping": "groups: {name: a}\n",
    "no YAML": "groups: [\n",
    "a list at the top": "- a\n",
    "expr as a mapping": group("{alert: a, expr: {a: b}}"),
    "field twice": group("{alert: a, alert: b, expr: c}"),
}
GOOD = {
    "nothing": "",
    "null": "groups:\n",
    "null rules": "groups:\n- name: a\n  rules:\n",
    "all fields": (
        "groups:\n- name: g\n  interval: 1m30s\n  query_offset: 10s\n  limit: 5\n  labels: {team: a}\n  rules:\n"
        "  - record: a:b\n    expr: sum(c)\n    labels: {x: y}\n"
        "  - alert: A\n    expr: c > 1\n    for: 1h\n    keep_firing_for: 5m\n"
        "    labels: {severity: '{{ $labels.s }}'}\n    annotations: {summary: '{{ $value | humanize }}'}\n"
    ),
    "numbers and words as texts": group("{alert: 5, expr: 1, labels: {a: 1, b: yes, c: null}, annotations: {d: 1.50}}"),
    "utf-8 names": group("{record: 'größe', expr: 'sum by (\"ä.b\") ({\"x.y\"})', labels: {'a-b': c}}"),
    "same rule twice": group("{record: a, expr: b}\n  - {record: a, expr: b}"),
    "zero durations": group("{alert: a, expr: b, for: 0, keep_firing_for: 0s}", "  interval: 0s\n"),
    "null durations": group("{alert: a, expr: b, for: , keep_firing_for: ~}"),
    "null labels": group("{alert: a, expr: b, labels: , annotations: }"),
    "template without a meaning": group("{alert: a, expr: b, annotations: {s: '{{ $labels.a.b }} {{ .Nope }}'}}"),
    "expression of several lines": "groups:\n- name: a\n  rules:\n  - alert: b\n    expr: |\n      a\n      > 1\n",
    "annotation with odd name": group("{alert: a, expr: b, annotations: {'a b': c}}"),
}


def verdict(path: Path) -> str:
    try:
        read_rules(path)
    except (BadConfig, BadConfigs) as error:
        return str(error)
    return "good"


@pytest.mark.peer
@pytest.mark.parametrize("name", [*BAD, *GOOD])
def test_verdict_is_promtools(promtool: str, tmp_path: Path, name: str) -> None:
    path = tmp_path / "r.yml"
    path.write_text((BAD | GOOD)[name])
    peer = subprocess.run([promtool, "check", "rules", "--lint=none", str(path)], capture_output=True, text=True)
    assert (verdict(path) == "good") == (peer.returncode == 0), (verdict(path), peer.stderr)


@pytest.mark.parametrize("name", BAD)
def test_bad_file_is_refused_with_its_place(tmp_path: Path, name: str) -> None:
    path = tmp_path / "r.yml"
    path.write_text(BAD[name])
    for line in verdict(path).splitlines():
        assert line.startswith(f"{path}:") and ": got " in line and ", want " in line


@pytest.mark.parametrize("name", GOOD)
def test_good_file_is_taken(tmp_path: Path, name: str) -> None:
    path = tmp_path / "r.yml"
    path.write_text(GOOD[name])
    assert verdict(path) == "good"


@pytest.mark.peer
def test_collected_rule_files_get_promtools_verdict(promtool: str) -> None:
    files = sorted(SHARED_RULES.rglob("*.y*ml"))
    if not files:
        pytest.skip(f"{SHARED_RULES} is absent")
    for path in files:
        peer = subprocess.run([promtool, "check", "rules", "--lint=none", str(path)], capture_output=True, text=True)
        assert (verdict(path) == "good") == (peer.returncode == 0), (path, verdict(path)[:500], peer.stderr[:500])


def test_every_fault_of_every_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("groups:\n- name: g\n  rules:\n  - expr: x\n  - record: a\n    expr: 'sum('\n")
    (tmp_path / "b.yml").write_text("groups: [\n")
    with pytest.raises(BadConfigs) as caught:
        check_rules([tmp_path / "a.yml", tmp_path / "b.yml", tmp_path / "absent.yml"])
    first, second, third, fourth = (str(fault) for fault in caught.value.faults)
    assert first == (
        f"{tmp_path}/a.yml:4: groups[0].rules[0]: got neither, want one: one of 'record' or 'alert' must be set"
    )
    assert second.startswith(f"{tmp_path}/a.yml:6: groups[0].rules[1].expr: got could not parse expression: 1:5: ")
    assert third.startswith(f"{tmp_path}/b.yml:") and "valid YAML" in third
    assert fourth == f"{tmp_path}/absent.yml: got No such file or directory, want a readable file"


def test_fields_are_read() -> None:
    read = parse_rules(GOOD["all fields"], "r.yml")
    (only,) = read.groups
    assert (only.interval_ms, only.query_offset_ms, only.limit, only.labels) == (90_000, 10_000, 5, {"team": "a"})
    assert read.rule_count == 2
    alert = only.rules[1]
    assert (alert.name, alert.for_ms, alert.keep_firing_for_ms) == ("A", 3_600_000, 300_000)
