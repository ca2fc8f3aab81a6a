"""Failed requests by job, from the counters that web frameworks keep under a few well-known names."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping

import structlog

from watchkeeper.model.clock import Clock
from watchkeeper.model.doors import Ask
from watchkeeper.model.errors import WatchkeeperError

log = structlog.get_logger(__name__)

# prometheus_client's and prom-client's custom, prometheus-fastapi-instrumentator, Spring Boot, Prometheus itself.
_COUNTERS = (
    "http_requests_total",
    "http_request_duration_seconds_count",
    "http_server_requests_seconds_count",
    "prometheus_http_requests_total",
)
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


def _ratio(counter: str) -> str:
    every = f"sum by (job) (rate({counter}[5m]))"
    failed = " or ".join(f'sum by (job) (rate({counter}{{{label}=~"5.."}}[5m]))' for label in _STATUS_LABELS)
    return f"({failed} or 0 * {every}) / {every}"
