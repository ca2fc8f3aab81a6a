"""What dashboards and rules about Prometheus itself read is there under its names, beside a real Prometheus."""

import re
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import pytest
from tests.notify.peer import call, real
from tests.peers import RealPrometheus
from tests.system.programs import Watchkeeper
from tests.waiting import wait_until

pytestmark = [pytest.mark.system, pytest.mark.peer, pytest.mark.xdist_group("system")]

CONFIG = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [rules.yml]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:9']}}]}}]}}
scrape_configs:
- {{job_name: a, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}
"""
RULES = "groups: [{name: g, rules: [{record: a, expr: '1'}, {alert: A, expr: '1'}]}]"
# What kube-prometheus' mixin of Prometheus, its overview dashboard and Grafana's of its store ask for.
_WANTED = """
prometheus_build_info prometheus_ready process_start_time_seconds process_cpu_seconds_total process_open_fds
process_max_fds process_resident_memory_bytes
prometheus_config_last_reload_successful prometheus_config_last_reload_success_timestamp_seconds
prometheus_engine_queries prometheus_engine_queries_concurrent_max prometheus_engine_query_duration_seconds
prometheus_engine_query_samples_total prometheus_engine_query_log_enabled prometheus_engine_query_log_failures_total
prometheus_http_requests_total prometheus_http_request_duration_seconds
prometheus_notifications_alertmanagers_discovered prometheus_notifications_dropped_total
prometheus_notifications_errors_total
prometheus_notifications_queue_capacity prometheus_notifications_queue_length prometheus_notifications_sent_total
prometheus_rule_evaluation_duration_seconds prometheus_rule_evaluation_failures_total prometheus_rule_evaluations_total
prometheus_rule_group_duration_seconds prometheus_rule_group_interval_seconds prometheus_rule_group_iterations_total
prometheus_rule_group_iterations_missed_total prometheus_rule_group_last_duration_seconds
prometheus_rule_group_last_evaluation_samples prometheus_rule_group_last_evaluation_timestamp_seconds
prometheus_rule_group_rules
prometheus_sd_discovered_targets prometheus_sd_file_read_errors_total
prometheus_target_interval_length_seconds prometheus_target_metadata_cache_entries
prometheus_target_scrape_pool_exceeded_label_limits_total prometheus_target_scrape_pool_exceeded_target_limit_total
prometheus_target_scrape_pool_reloads_total prometheus_target_scrape_pool_sync_total
prometheus_target_scrape_pool_target_limit prometheus_target_scrape_pool_targets prometheus_target_scrape_pools_total
prometheus_target_scrapes_exceeded_body_size_limit_total prometheus_target_scrapes_exceeded_sample_limit_total
prometheus_target_scrapes_sample_duplicate_timestamp_total prometheus_target_scrapes_sample_out_of_bounds_total
prometheus_target_scrapes_sample_out_of_order_total prometheus_target_sync_failed_total
prometheus_target_sync_length_seconds
prometheus_tsdb_blocks_loaded prometheus_tsdb_compactions_total prometheus_tsdb_compactions_failed_total
prometheus_tsdb_compaction_duration_seconds prometheus_tsdb_data_replay_duration_seconds
prometheus_tsdb_exemplar_exemplars_in_storage prometheus_tsdb_head_chunks prometheus_tsdb_head_max_time
prometheus_tsdb_head_max_time_seconds prometheus_tsdb_head_min_time prometheus_tsdb_head_min_time_seconds
prometheus_tsdb_head_samples_appended_total prometheus_tsdb_head_series prometheus_tsdb_head_series_created_total
prometheus_tsdb_head_series_removed_total prometheus_tsdb_head_truncations_failed_total
prometheus_tsdb_lowest_timestamp prometheus_tsdb_lowest_timestamp_seconds prometheus_tsdb_out_of_order_samples_total
prometheus_tsdb_retention_limit_bytes prometheus_tsdb_retention_limit_seconds prometheus_tsdb_storage_blocks_bytes
prometheus_tsdb_wal_corruptions_total prometheus_tsdb_wal_storage_size_bytes
"""
WANTED = frozenset(re.findall(r"\S+", _WANTED))
# What Alertmanager's mixin and its overview dashboard ask for.
_OF_ALERTMANAGER = """
alertmanager_build_info alertmanager_alerts alertmanager_alerts_received_total alertmanager_alerts_invalid_total
alertmanager_config_hash alertmanager_config_last_reload_successful
alertmanager_config_last_reload_success_timestamp_seconds alertmanager_dispatcher_aggregation_groups
alertmanager_integrations alertmanager_receivers alertmanager_inhibition_rules
alertmanager_nflog_maintenance_errors_total alertmanager_nflog_maintenance_total alertmanager_nflog_queries_total
alertmanager_nflog_query_errors_total alertmanager_nflog_query_duration_seconds
alertmanager_cluster_enabled alertmanager_dispatcher_alert_processing_duration_seconds
alertmanager_silences_queries_total alertmanager_silences_query_duration_seconds
alertmanager_silences_query_silences_scanned_total alertmanager_silences_maintenance_total
alertmanager_silences_maintenance_errors_total
alertmanager_notification_latency_seconds alertmanager_notification_requests_failed_total
alertmanager_notification_requests_total alertmanager_notifications_failed_total
alertmanager_notifications_total alertmanager_silences
"""
_SAMPLE = re.compile(r"^([a-z_]+)(?:\{(.*)\})? (\S+)", re.MULTILINE)

Families = dict[str, str]
Samples = dict[str, dict[str, float]]


def _read(text: str) -> tuple[Families, Samples]:
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    samples: Samples = {}
    for name, labels, value in _SAMPLE.findall(text):
        samples.setdefault(name, {})[labels] = float(value)
    return kinds, samples


def _shapes(samples: Samples, name: str) -> set[tuple[str, ...]]:
    """Give the label names of a family's samples, quantiles with their values."""
    return {
        tuple(
            sorted(f"{key}={value}" if key == "quantile" else key for key, value in re.findall(r'(\w+)="(.*?)"', one))
        )
        for one in samples.get(name, {})
    }


def test_dashboards_of_prometheus_find_what_they_read(watchkeeper: Callable[..., Watchkeeper], tmp_path: Path) -> None:
    real_folder = tmp_path / "real"
    real_folder.mkdir()
    ours = watchkeeper("--auth", "none", "--config", str(tmp_path / "config"))
    (tmp_path / "config").mkdir()
    for folder in (real_folder, tmp_path / "config"):
        (folder / "rules.yml").write_text(RULES)
    (tmp_path / "config" / "prometheus.yml").write_text(CONFIG.format(port=ours.url.rpartition(":")[2]))
    ours.start()
    real = RealPrometheus(real_folder, CONFIG.format(port=ours.url.rpartition(":")[2]))
    try:
        told = {}
        for name, url in (("ours", ours.url), ("real", real.url)):

            def scraped(url: str = url) -> str:
                with urlopen(f"{url}/api/v1/query?query=up", timeout=5):
                    pass
                with urlopen(f"{url}/metrics", timeout=5) as answer:
                    return str(answer.read().decode())

            def scrapes_went_on(scraped: Callable[[], str] = scraped) -> bool:
                samples = _read(scraped())[1]
                return samples.get("prometheus_target_interval_length_seconds_count", {}).get('interval="1s"', 0) >= 2

            wait_until(f"{name} to scrape", scrapes_went_on)
            told[name] = _read(scraped())
    finally:
        real.stop()
    (our_kinds, our_samples), (kinds, samples) = told["ours"], told["real"]
    assert {name: our_kinds.get(name) for name in WANTED} == {name: kinds.get(name) for name in WANTED}
    for name in WANTED:
        if name not in ("prometheus_engine_query_duration_seconds", "prometheus_http_request_duration_seconds"):
            assert _shapes(our_samples, name) >= _shapes(samples, name), name
    assert our_samples["prometheus_target_scrape_pool_targets"]['scrape_job="a"'] == 1
    assert our_samples["prometheus_sd_discovered_targets"]['config="a",name="scrape"'] == 1
    assert our_samples["prometheus_ready"][""] == 1
    assert our_samples["prometheus_tsdb_head_samples_appended_total"]['type="float"'] > 100
    span_s = (
        our_samples["prometheus_tsdb_head_max_time_seconds"][""]
        - our_samples["prometheus_tsdb_head_min_time_seconds"][""]
    )
    assert 1 <= span_s <= 60


def test_dashboards_of_alertmanager_find_what_they_read(
    watchkeeper: Callable[..., Watchkeeper], tmp_path: Path
) -> None:
    config = "route: {receiver: a, group_wait: 0s}\n"
    config += "receivers: [{name: a, webhook_configs: [{url: 'http://127.0.0.1:9/'}]}]\n"
    ours = watchkeeper("--auth", "none", "--config", str(tmp_path / "config"))
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "alertmanager.yml").write_text(config)
    (tmp_path / "config" / "watchkeeper.yml").write_text("watch: {itself: false, host: false, rules: false}\n")
    ours.start()
    told = {}
    with real(tmp_path / "real", config) as peer:
        for name, base, metrics in (
            ("ours", f"{ours.url}/alertmanager", f"{ours.url}/metrics"),
            ("real", peer.url, f"{peer.url}/metrics"),
        ):
            alert = {"labels": {"alertname": "A"}, "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z"}
            assert call("POST", f"{base}/api/v2/alerts", [alert])[0] == 200

            def tried(metrics: str = metrics) -> bool:
                with urlopen(metrics, timeout=5) as answer:
                    samples = _read(answer.read().decode())[1]
                return samples["alertmanager_notification_requests_total"]['integration="webhook"'] >= 1

            wait_until(f"{name} to notify", tried)
            with urlopen(metrics, timeout=5) as answer:
                told[name] = _read(answer.read().decode())
    (our_kinds, our_samples), (kinds, samples) = told["ours"], told["real"]
    wanted = _OF_ALERTMANAGER.split()
    assert {name: our_kinds.get(name) for name in wanted} == {name: kinds.get(name) for name in wanted}
    for name in wanted:
        assert _shapes(our_samples, name) >= _shapes(samples, name), name
    assert our_samples["alertmanager_cluster_members"] == {"": 1.0}
