from pathlib import Path

import pytest

from watchkeeper.app.config import load
from watchkeeper.model.errors import BadConfig, BadConfigs

_SCRAPE = "scrape_configs: [{job_name: a, static_configs: [{targets: ['127.0.0.1:1']}]}]\n"


def _files(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        (folder / f"{name}.yml").write_text(text)
    return folder


def _faults(folder: Path) -> list[str]:
    with pytest.raises(BadConfigs) as caught:
        load(folder)
    return [str(fault).removeprefix(f"{folder}/") for fault in caught.value.faults]


def test_without_files_the_host_and_itself_are_watched_with_the_built_in_rules() -> None:
    loaded = load(None)
    assert loaded.watches_host
    assert loaded.watches_itself
    assert loaded.rule_files
    assert loaded.tails
    assert [one.name for one in loaded.alertmanager.receivers] == ["inbox"]


def test_a_prometheus_yml_says_what_is_watched(tmp_path: Path) -> None:
    loaded = load(_files(tmp_path, prometheus=_SCRAPE))
    assert [one.job_name for one in loaded.prometheus.scrape_configs] == ["a"]
    assert not loaded.watches_host
    assert loaded.watches_itself
    assert not loaded.rule_files


def test_watchkeeper_yml_may_add_the_host_and_the_built_in_rules(tmp_path: Path) -> None:
    loaded = load(_files(tmp_path, prometheus=_SCRAPE, watchkeeper="watch: {host: true, rules: true}"))
    assert loaded.watches_host
    assert loaded.rule_files


def test_a_file_may_be_named_instead_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "other.yml").write_text(_SCRAPE)
    assert load(tmp_path / "other.yml").prometheus.scrape_configs[0].job_name == "a"


def test_rule_files_are_globs_beside_the_file_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "a.yml").write_text("groups: [{name: g, rules: [{record: r, expr: '1'}]}]")
    loaded = load(_files(tmp_path, prometheus="rule_files: ['rules/*.yml']"))
    assert [group.name for file in loaded.rule_files for group in file.groups] == ["g"]


def test_every_fault_of_every_file_is_told_at_once(tmp_path: Path) -> None:
    _files(
        tmp_path,
        prometheus="global:\n  scrape_interval: soon\nrule_files: [rules.yml]\n",
        rules="groups:\n- name: g\n  rules:\n  - record: r\n    expr: 'sum('\n",
        alertmanager="route: {receiver: nobody}\n",
        watchkeeper="metrics:\n  retention_days: 5\n",
    )
    faults = _faults(tmp_path)
    assert any(fault.startswith("prometheus.yml:2: global.scrape_interval: got 'soon'") for fault in faults), faults
    assert any(fault.startswith("watchkeeper.yml:2: metrics.retention_days: got an unknown field") for fault in faults)
    assert any(fault.startswith("alertmanager.yml:1: route.receiver: got 'nobody'") for fault in faults)


def test_a_bad_rule_is_named_by_file_line_and_field(tmp_path: Path) -> None:
    rules = "groups:\n- name: g\n  rules:\n  - record: r\n    expr: 'sum('\n"
    (fault,) = _faults(_files(tmp_path, prometheus="rule_files: [rules.yml]", rules=rules))
    assert fault.startswith("rules.yml:5: groups[0].rules[0].expr: got ")


def test_what_is_not_supported_yet_is_refused_by_name(tmp_path: Path) -> None:
    (fault,) = _faults(_files(tmp_path, prometheus="remote_write:\n- url: http://x/\n"))
    assert fault == "prometheus.yml:1: remote_write: got a section, want none: remote_write is not supported yet"


def test_what_means_nothing_here_is_noticed(tmp_path: Path) -> None:
    loaded = load(_files(tmp_path, prometheus="tracing: {endpoint: 'localhost:4317'}"))
    assert len(loaded.notices) == 1
    assert "tracing is not used" in loaded.notices[0]


@pytest.mark.parametrize(
    ("one", "fault"),
    [
        ("{api_version: v1}", "expected Alertmanager api version to be one of [v2] but got v1"),
        ("{static_configs: [{targets: ['http://a:9093']}]}", '"http://a:9093" is not a valid hostname'),
        ("{basic_auth: {}, authorization: {}}", "at most one of basic_auth, oauth2 & authorization must be configured"),
        ("{timeout: 1}", "timeout"),
        ("{path: /x}", "path"),
    ],
)
def test_alertmanagers_that_cannot_be_asked_are_faults(tmp_path: Path, one: str, fault: str) -> None:
    (found,) = _faults(_files(tmp_path, prometheus=f"alerting: {{alertmanagers: [{one}]}}"))
    assert fault in found


@pytest.mark.parametrize("name", ["alertmanager.yml", "prometheus.yml"])
def test_a_file_stands_for_its_folder(tmp_path: Path, name: str) -> None:
    folder = _files(
        tmp_path,
        prometheus="scrape_configs: [{job_name: a}]",
        alertmanager="route: {receiver: me}\nreceivers: [{name: me}]\n",
    )
    loaded = load(folder / name)
    assert [one.job_name for one in loaded.prometheus.scrape_configs] == ["a"]
    assert [one.name for one in loaded.alertmanager.receivers] == ["me"]


def test_a_missing_rule_file_is_a_fault_and_an_empty_glob_is_not(tmp_path: Path) -> None:
    assert load(_files(tmp_path, prometheus="rule_files: ['*.rules']")).rule_files == ()
    (fault,) = _faults(_files(tmp_path, prometheus="rule_files: [gone.yml]"))
    assert fault == "gone.yml: got nothing there, want a file"


def test_a_job_twice_is_a_fault(tmp_path: Path) -> None:
    twice = "scrape_configs:\n- job_name: a\n- job_name: a\n"
    (fault,) = _faults(_files(tmp_path, prometheus=twice))
    assert fault == "prometheus.yml:3: scrape_configs[1].job_name: got 'a', want each job_name once"


def test_a_timeout_longer_than_the_global_interval_is_a_fault(tmp_path: Path) -> None:
    text = "global: {scrape_interval: 5s}\nscrape_configs:\n- job_name: a\n  scrape_timeout: 10s\n"
    (fault,) = _faults(_files(tmp_path, prometheus=text))
    assert fault.startswith("prometheus.yml:3: scrape_configs[0]: got scrape timeout greater than scrape interval")


def test_a_place_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="want a folder or a file"):
        load(tmp_path / "nowhere")


def test_bundles_of_built_in_rules_are_chosen_by_name(tmp_path: Path) -> None:
    loaded = load(_files(tmp_path, prometheus=_SCRAPE, watchkeeper="watch: {rules: [redis, host]}"))
    assert [Path(file.path).stem for file in loaded.rule_files] == ["redis", "host"]
    (fault,) = _faults(_files(tmp_path, watchkeeper="watch: {rules: [rediss]}"))
    assert "watch.rules: got 'rediss', want one of" in fault


def test_alertmanagers_own_observing_is_checked_and_noticed(tmp_path: Path) -> None:
    base = "{route: {receiver: a}, receivers: [{name: a}], "
    file = tmp_path / "alertmanager.yml"
    file.write_text(base + "tracing: {endpoint: 'x:1'}, event_recorder: {file_outputs: [{path: /tmp/x}]}}")
    assert [notice.split(": ", 1)[1] for notice in load(tmp_path).notices] == [
        "tracing is not used: no traces are sent.",
        "event_recorder is not used: the delivery ledger keeps events.",
    ]
    file.write_text(base + "tracing: {client_type: http}}")
    with pytest.raises(BadConfigs, match="tracing endpoint must be set"):
        load(tmp_path)
