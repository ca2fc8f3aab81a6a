"""prometheus.yml's `global` and `scrape_configs`, with Prometheus 3's names, defaults and checks.

What a valid file may hold and this version does not act on yet is taken where ignoring it is harmless, and refused by
name where ignoring it would give other data than Prometheus'.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from watchkeeper.collect.discovery_settings import DiscoverySettings, Duration, Rules
from watchkeeper.model.document import Settings, setting
from watchkeeper.model.duration import format_duration
from watchkeeper.model.errors import BadInput
from watchkeeper.net.http_config import HttpConfig

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)([KMGTPE]?)(i?)B")
_POWERS = {unit: power for power, unit in enumerate(("", "K", "M", "G", "T", "P", "E"))}
ScrapeProtocol = Literal[
    "PrometheusProto", "OpenMetricsText1.0.0", "OpenMetricsText0.0.1", "PrometheusText1.0.0", "PrometheusText0.0.4"
]
DEFAULT_PROTOCOLS: tuple[ScrapeProtocol, ...] = (
    "OpenMetricsText1.0.0",
    "OpenMetricsText0.0.1",
    "PrometheusText1.0.0",
    "PrometheusText0.0.4",
)


def read_size(text: str) -> int:
    """Read a size in bytes: "10MB", "512KiB", "0"; Prometheus counts both forms in powers of 1024.

    raises  ValueError naming the text
    """
    if text == "0":
        return 0
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError(f"units: unknown unit in {text!r}, want a number and B, KB, MB, GB, TB, PB or EB")
    return int(float(found[1]) * 1024 ** _POWERS[found[2]])


def _size(value: Any) -> Any:
    return read_size(value) if isinstance(value, str) else value


Size = Annotated[int, BeforeValidator(_size)]
Count = Annotated[int, Field(ge=0)]


class ScrapeConfig(HttpConfig, DiscoverySettings):
    """One entry of scrape_configs. Zero means: as the global section says, or no limit."""

    job_name: str = setting(..., "The job label's value, and the scrape pool's name.", min_length=1)
    scrape_interval: Duration = setting(0, "How often each target is scraped.", unit="ms")
    scrape_timeout: Duration = setting(0, "How long a scrape may last.", unit="ms")
    scrape_protocols: tuple[ScrapeProtocol, ...] | None = setting(None, "Formats asked for, best first.", min_length=1)
    fallback_scrape_protocol: ScrapeProtocol | None = setting(None, "The format of a target that does not say.")
    metrics_path: str = setting("/metrics", "The path that is asked.")
    scheme: Literal["http", "https"] = setting("http", "How the target is asked.")
    params: Mapping[str, tuple[str, ...]] = setting(dict, "Query parameters.")
    honor_labels: bool = setting(False, "Whether the target's own labels win over ours.")
    honor_timestamps: bool = setting(True, "Whether the target's own timestamps are used.")
    track_timestamps_staleness: bool = setting(False, "Whether series with their own times end when they are gone.")
    enable_compression: bool = setting(True, "Whether gzip is asked for.")
    sample_limit: Count | None = setting(None, "Samples a scrape may hold after relabelling; 0 is no limit.")
    target_limit: Count | None = setting(None, "Targets the job may have; 0 is no limit.")
    label_limit: Count | None = setting(None, "Labels a sample may have; 0 is no limit.")
    label_name_length_limit: Count | None = setting(None, "Bytes of a label's name; 0 is no limit.")
    label_value_length_limit: Count | None = setting(None, "Bytes of a label's value; 0 is no limit.")
    body_size_limit: Size | None = setting(None, "Bytes of an uncompressed body; 0 is no limit.", unit="bytes")
    keep_dropped_targets: Count | None = setting(None, "Dropped targets kept for show; 0 is all.")
    relabel_configs: Rules = setting((), "Rules over targets.")
    metric_relabel_configs: Rules = setting((), "Rules over samples.")
    metric_name_validation_scheme: Literal["", "utf8", "legacy"] = setting("", "Which names are taken.")
    metric_name_escaping_scheme: str = setting("", "Taken and without effect.")
    scrape_failure_log_file: str = setting("", "Taken and without effect: failures are in our log.")
    native_histogram_bucket_limit: Count | None = setting(
        None, "Native histograms with more buckets are made coarser; the scrape fails where that does not do."
    )
    native_histogram_min_bucket_factor: float | None = setting(
        None, "Native histograms are made coarser until a bucket's bounds are this far apart, as a factor."
    )
    always_scrape_classic_histograms: bool | None = setting(
        None, "Whether the classic buckets of native histograms are scraped, too."
    )
    convert_classic_histograms_to_nhcb: bool | None = setting(
        None, "Whether classic histograms become native ones with custom buckets."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        protocols = self.scrape_protocols or ()
        if len(set(protocols)) != len(protocols):
            raise ValueError("duplicated protocol in scrape_protocols")
        return self


class GlobalConfig(Settings):
    """prometheus.yml's `global`: what holds where a scrape_config says nothing."""

    scrape_interval: Duration = setting(60_000, "How often targets are scraped.", unit="ms", gt=0)
    scrape_timeout: Duration = setting(
        0, "How long a scrape may last; 10s, or the interval when that is less.", unit="ms"
    )
    scrape_protocols: tuple[ScrapeProtocol, ...] = setting(DEFAULT_PROTOCOLS, "Formats asked for.", min_length=1)
    evaluation_interval: Duration = setting(60_000, "How often rules are evaluated.", unit="ms", gt=0)
    rule_query_offset: Duration = setting(0, "How far rules look back from now.", unit="ms")
    external_labels: Mapping[str, str] = setting(dict, "Labels for what leaves this system.")
    query_log_file: str = setting("", "File to which queries are logged, a line of JSON each.")
    scrape_failure_log_file: str = setting("", "Taken and without effect.")
    body_size_limit: Size = setting(0, "As in scrape_configs.", unit="bytes")
    sample_limit: Count = setting(0, "As in scrape_configs.")
    target_limit: Count = setting(0, "As in scrape_configs.")
    label_limit: Count = setting(0, "As in scrape_configs.")
    label_name_length_limit: Count = setting(0, "As in scrape_configs.")
    label_value_length_limit: Count = setting(0, "As in scrape_configs.")
    keep_dropped_targets: Count = setting(0, "As in scrape_configs.")
    metric_name_validation_scheme: Literal["", "utf8", "legacy"] = setting("", "As in scrape_configs.")
    metric_name_escaping_scheme: str = setting("", "Taken and without effect.")
    always_scrape_classic_histograms: bool = setting(False, "As in scrape_configs.")
    convert_classic_histograms_to_nhcb: bool = setting(False, "As in scrape_configs.")
    runtime: Mapping[str, Any] = setting(dict, "Taken and without effect: it tunes Go.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.scrape_timeout > self.scrape_interval:
            raise ValueError("global scrape timeout greater than scrape interval")
        return self


def complete(config: ScrapeConfig, defaults: GlobalConfig) -> ScrapeConfig:
    """Give a scrape_config with what the global section says where it says nothing itself.

    raises  BadInput when its timeout is longer than its interval
    """
    interval = config.scrape_interval or defaults.scrape_interval
    if config.scrape_timeout > interval:
        raise BadInput(
            f'scrape timeout greater than scrape interval for scrape config with job name "{config.job_name}"'
        )
    timeout = config.scrape_timeout or min(defaults.scrape_timeout or 10_000, interval)
    chosen: dict[str, Any] = {"scrape_interval": interval, "scrape_timeout": timeout}
    for name in (
        "scrape_protocols",
        "body_size_limit",
        "sample_limit",
        "target_limit",
        "label_limit",
        "label_name_length_limit",
        "label_value_length_limit",
        "keep_dropped_targets",
        "always_scrape_classic_histograms",
        "convert_classic_histograms_to_nhcb",
    ):
        if getattr(config, name) is None:
            chosen[name] = getattr(defaults, name)
    return config.model_copy(update=chosen)


def duration_text(duration_ms: int) -> str:
    """Write a duration for __scrape_interval__ and the like."""
    return format_duration(duration_ms)


class ScrapeSettings(Settings):
    """Limits of collecting that prometheus.yml has no place for."""

    body_bytes_max: int = setting(128 << 20, "A body without a body_size_limit is refused above this.", unit="bytes")
    samples_max: int = setting(200_000, "A scrape with more sample lines is refused whole.")
    scrapes_at_once_max: int = setting(500, "Scrapes that are under way at once; others wait their turn.")
