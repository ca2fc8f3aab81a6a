"""Failed requests by job, from the counters that web frameworks keep under well-known names; error lines by job."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping

import structlog

from watchkeeper.model.clock import Clock
from watchkeeper.model.doors import Ask
from watchkeeper.model.errors import WatchkeeperError
from watchkeeper.query.logql.engine import Engine
from watchkeeper.query.logql.result import Matrix

log = structlog.get_logger(__name__)

# prometheus_client's and prom-client's custom, prometheus-fastapi-instrumentator, Spring Boot, Prometheus itself.
_COUNTERS = (
    "http_requests_total",
    "http_request_duration_seconds_count",
    "http_server_requests_seconds_count",
    "prometheus_http_requests_total",
)
_ERROR_LINES = 'sum by (job) (count_over_time({level=~"error|critical|fatal", job!=""}[15m]))'
_STATUS_LABELS = ("status", "status_code", "code")


def error_ratios(ask: Ask, clock: Clock) -> Callable[[], Awaitable[Mapping[str, float]]]:
    """Give a function that tells the failed share of each job's requests over the last 5 minutes.

    ask      evaluates PromQL, in a worker thread
    returns  job → 0…1, for jobs that count requests and had any; nothing when it cannot be told now
    """
    expr = " or ".join(f"({_ratio(name)})" for name in _COUNTERS)

    async def ratios() -> Mapping[str, float]:
        try:
            found = await asyncio.to_thread(ask, expr, clock.now_ms())
        except WatchkeeperError as error:
            log.warning("error_ratios_unknown", error=str(error))
            return {}
        return {one.labels.get("job", ""): one.value for one in found if math.isfinite(one.value)}

    return ratios


def error_lines(logs: Engine, clock: Clock) -> Callable[[], Awaitable[Mapping[str, int]]]:
    """Give a function that counts each job's log lines of level error or worse over the last 15 minutes.

    returns  job → lines, for jobs that had any; nothing when it cannot be told now
    """

    async def lines() -> Mapping[str, int]:
        try:
            found = await asyncio.to_thread(logs.instant, _ERROR_LINES, clock.now_ms() * 1_000_000)
        except WatchkeeperError as error:
            log.warning("error_lines_unknown", error=str(error))
            return {}
        assert isinstance(found, Matrix)
        return {one.get("job", ""): int(values[-1]) for one, values in zip(found.labels, found.values, strict=True)}

    return lines


def _ratio(counter: str) -> str:
    every = f"sum by (job) (rate({counter}[5m]))"
    failed = " or ".join(f'sum by (job) (rate({counter}{{{label}=~"5.."}}[5m]))' for label in _STATUS_LABELS)
    return f"({failed} or 0 * {every}) / {every}"
