"""What scraping says about itself, a pool and an interval at a time, under Prometheus' names."""

from collections.abc import Callable

from watchkeeper.model.duration import format_duration
from watchkeeper.model.metrics import counter, gauge, summary

_QUANTILES = (0.01, 0.05, 0.5, 0.9, 0.99)
_POOLS = counter("prometheus_target_scrape_pools", "Total number of scrape pool creation attempts.")
_RELOADS = counter("prometheus_target_scrape_pool_reloads", "Total number of scrape pool reloads.")
_TARGETS = gauge(
    "prometheus_target_scrape_pool_targets", "Current number of targets in this scrape pool.", ("scrape_job",)
)
_LIMIT = gauge(
    "prometheus_target_scrape_pool_target_limit",
    "Maximum number of targets allowed in this scrape pool.",
    ("scrape_job",),
)
_DISCOVERED = gauge("prometheus_sd_discovered_targets", "Current number of discovered targets.", ("name", "config"))
_SYNCS = counter(
    "prometheus_target_scrape_pool_sync",
    "Total number of syncs that were executed on a scrape pool.",
    ("scrape_job",),
)
_SYNC_FAILURES = counter("prometheus_target_sync_failed", "Total number of target sync failures.", ("scrape_job",))
_SYNC_SECONDS = summary(
    "prometheus_target_sync_length_seconds", "Actual interval to sync the scrape pool.", ("scrape_job",), _QUANTILES
)
_METADATA = gauge(
    "prometheus_target_metadata_cache_entries", "Total number of metric metadata entries in the cache", ("scrape_job",)
)
_INTERVALS = summary(
    "prometheus_target_interval_length_seconds", "Actual intervals between scrapes.", ("interval",), _QUANTILES
)
_OF_POOL = (_TARGETS, _LIMIT, _SYNCS, _SYNC_FAILURES, _SYNC_SECONDS, _METADATA)


def pool_began(job: str, *, reloaded: bool) -> None:
    """Count a pool that is new, or has new settings."""
    (_RELOADS if reloaded else _POOLS).inc()
    for metric in _OF_POOL:
        metric.labels(job)


def pool_ended(job: str) -> None:
    """Count a pool no more."""
    for metric in _OF_POOL:
        metric.remove(job)
    _DISCOVERED.remove("scrape", job)


def pool_synced(job: str, seconds: float, targets: int, discovered: int, failures: int, limit: int) -> None:
    """Note what a pool's discoveries gave."""
    _SYNCS.labels(job).inc()
    _SYNC_SECONDS.labels(job).observe(seconds)
    _SYNC_FAILURES.labels(job).inc(failures)
    _TARGETS.labels(job).set(targets)
    _LIMIT.labels(job).set(limit)
    _DISCOVERED.labels("scrape", job).set(discovered)


def count_metadata(job: str, entries: Callable[[], int]) -> None:
    """Let a pool's families with metadata be counted whenever they are asked for."""
    _METADATA.labels(job).set_function(entries)


def note_interval(interval_ms: int, seconds: float) -> None:
    """Note how long after a target's scrape its next one began."""
    _INTERVALS.labels(format_duration(interval_ms)).observe(seconds)
