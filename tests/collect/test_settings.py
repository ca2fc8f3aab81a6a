from typing import Any

import orjson
import pytest

from watchkeeper.collect.discovery.file import read_groups
from watchkeeper.collect.relabel import Relabel
from watchkeeper.collect.settings import GlobalConfig, ScrapeConfig, complete, read_size
from watchkeeper.collect.targets import Target, global_url, make_target
from watchkeeper.model import document
from watchkeeper.model.errors import BadInput


def read(text: str) -> ScrapeConfig:
    return document.parse(text, "prometheus.yml").read_as(ScrapeConfig)


def test_defaults_are_prometheus() -> None:
    config = complete(read("job_name: a"), document.parse("", "x").read_as(GlobalConfig))
    assert (config.scrape_interval, config.scrape_timeout) == (60_000, 10_000)
    assert (config.metrics_path, config.scheme, config.honor_timestamps) == ("/metrics", "http", True)
    assert (config.enable_compression, config.follow_redirects, config.sample_limit) == (True, True, 0)


@pytest.mark.parametrize(
    ("own", "defaults", "times"),
    [
        ({}, {"scrape_interval": "5s"}, (5000, 5000)),
        ({"scrape_interval": "3s"}, {"scrape_interval": "1m", "scrape_timeout": "30s"}, (3000, 3000)),
        ({"scrape_interval": "1h", "scrape_timeout": "50s"}, {}, (3_600_000, 50_000)),
    ],
)
def test_the_timeout_follows_the_interval(
    own: dict[str, str], defaults: dict[str, str], times: tuple[int, int]
) -> None:
    config = complete(ScrapeConfig.model_validate({"job_name": "a", **own}), GlobalConfig.model_validate(defaults))
    assert (config.scrape_interval, config.scrape_timeout) == times


def test_a_timeout_over_its_interval_is_refused() -> None:
    with pytest.raises(
        BadInput, match='scrape timeout greater than scrape interval for scrape config with job name "a"'
    ):
        complete(ScrapeConfig(job_name="a", scrape_interval=1000, scrape_timeout=2000), GlobalConfig())
    with pytest.raises(BadInput, match="global scrape timeout greater than scrape interval"):
        document.parse("scrape_interval: 1s\nscrape_timeout: 2s", "x").read_as(GlobalConfig)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("job_name: ''", "job_name"),
        ("{}", "job_name: got nothing"),
        ("job_name: a\nscrape_interval: 1.5s", "not a valid duration"),
        ("job_name: a\nkubernetes_sd_configs: [{role: pod}]", "kubernetes_sd_configs is not supported yet"),
        ("job_name: a\nscheme: ftp", "scheme"),
        ("job_name: a\nbody_size_limit: 10 potatoes", "unknown unit"),
        ("job_name: a\nsample_limit: -1", "sample_limit"),
        ("job_name: a\nstatic_configs: [{targets: ['http://x/y']}]", '"http://x/y" is not a valid hostname'),
        ("job_name: a\nfile_sd_configs: [{files: ['x.txt']}]", "is not valid for file discovery"),
        ("job_name: a\nbasic_auth: {username: u}\nbearer_token: x", "at most one of"),
        ("job_name: a\nauthorization: {type: Basic}", 'authorization type cannot be set to "basic"'),
        ("job_name: a\ntls_config: {cert_file: x}", "exactly one of"),
        ("job_name: a\nmetrics_pth: /x", "an unknown field"),
    ],
)
def test_faults_are_named(text: str, error: str) -> None:
    with pytest.raises(BadInput, match=error):
        read(text)


def test_secrets_are_not_shown() -> None:
    config = read("job_name: a\nbasic_auth: {username: u, password: hunter2}")
    assert "hunter2" not in repr(config) + str(config)
    with pytest.raises(BadInput) as raised:
        read("job_name: a\nbearer_token: hunter2\nbearer_token_file: x")
    assert "hunter2" not in str(raised.value)


def test_sizes_count_in_powers_of_1024() -> None:
    assert [read_size(text) for text in ("0", "5B", "10KB", "1.5MiB", "2GB")] == [0, 5, 10240, 1_572_864, 2 << 30]


def target(config: dict[str, Any], **labels: str) -> Target | None:
    whole = complete(ScrapeConfig.model_validate({"job_name": "j", **config}), GlobalConfig())
    return make_target(whole, Relabel.of(whole.relabel_configs), {"__address__": "h:1", **labels})[1]


def test_labels_decide_how_a_target_is_asked() -> None:
    got = target(
        {"params": {"module": ["x", "z"]}},
        __scheme__="https",
        __metrics_path__="/a b",
        __param_module="y",
        __param_q="1",
        __scrape_interval__="5s",
        __scrape_timeout__="3s",
        env="prod",
    )
    assert got is not None
    assert got.url == "https://h:1/a%20b?module=y&module=z&q=1"
    assert (got.interval_ms, got.timeout_ms) == (5000, 3000)
    assert got.labels == {"env": "prod", "instance": "h:1", "job": "j"}


@pytest.mark.parametrize(
    ("labels", "error"),
    [
        ({"__address__": ""}, "no address"),
        ({"__address__": "a/b"}, "is not a valid hostname"),
        ({"__scrape_interval__": "0s"}, "scrape interval cannot be 0"),
        ({"__scrape_interval__": "x"}, "error parsing scrape interval"),
        (
            {"__scrape_interval__": "1s", "__scrape_timeout__": "2s"},
            "scrape timeout cannot be greater than scrape interval",
        ),
    ],
)
def test_targets_that_cannot_be(labels: dict[str, str], error: str) -> None:
    with pytest.raises(BadInput, match=error):
        target({}, **labels)


def test_a_target_keeps_its_number() -> None:
    first, again, other = target({}), target({"honor_labels": True}), target({}, env="x")
    assert first and again and other
    assert first.number == again.number != other.number
    assert first.source == again.source


def test_local_addresses_are_shown_as_others_reach_them() -> None:
    assert global_url("http://localhost:9090/metrics", "box") == "http://box:9090/metrics"
    assert global_url("http://[::1]:80/m?x=y", "box") == "http://box:80/m?x=y"
    assert global_url("http://far:9090/metrics", "box") == "http://far:9090/metrics"


@pytest.mark.parametrize("name", ["t.json", "t.yml"])
def test_target_files_are_read(name: str) -> None:
    groups = [{"targets": ["a:1", "b:2"], "labels": {"env": "x"}}, {"targets": ["c:3"]}]
    got = read_groups(orjson.dumps(groups), name)
    assert [one["__address__"] for one in got] == ["a:1", "b:2", "c:3"]
    assert got[0] == {"__address__": "a:1", "__meta_filepath": name, "env": "x"}


@pytest.mark.parametrize(
    "text", ["{}", "[1]", '[{"targets": "x"}]', '[{"target": []}]', "[", '[{"targets": ["http://x"]}]']
)
def test_faulty_target_files_are_refused(text: str) -> None:
    for name in ("t.json", "t.yml"):
        with pytest.raises(BadInput, match=r"t\.(json|yml)|cannot read targets"):
            read_groups(text.encode(), name)
