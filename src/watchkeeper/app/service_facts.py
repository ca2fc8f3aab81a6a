"""What the gateway asks of metrics and logs about one service; names are those of the field's own instrumentation."""

import asyncio

import numpy as np

from watchkeeper.model.clock import Clock
from watchkeeper.model.errors import WatchkeeperError
from watchkeeper.model.matchers import Matcher
from watchkeeper.query.logql.engine import Engine as LogEngine
from watchkeeper.query.logql.result import Matrix
from watchkeeper.query.promql.engine import Engine

_STATUS_LABELS = ("code", "status", "status_code")  # Go's client, FastAPI's and Fastify's instrumentators
_BAD_LEVELS = "error|critical|fatal"


class ServiceFacts:
    """Answers questions about a scrape job; None where nothing is known."""

    def __init__(self, engine: Engine, logs: LogEngine, clock: Clock) -> None:
        self._engine, self._logs, self._clock = engine, logs, clock

    async def error_ratio(self, job: str) -> float | None:
        """Give the share of the job's HTTP requests that failed (5xx) over five minutes, 0 to 1."""
        of_job = Matcher("job", "=", job)
        failed = [f'sum(rate(http_requests_total{{{of_job},{label}=~"5.."}}[5m]))' for label in _STATUS_LABELS]
        expr = f"({' or '.join(failed)} or vector(0)) / sum(rate(http_requests_total{{{of_job}}}[5m]))"
        try:
            found = await asyncio.to_thread(self._engine.ask, expr, self._clock.now_ms())
        except WatchkeeperError:
            return None
        return found[0].value if found and np.isfinite(found[0].value) else None

    async def error_lines(self, job: str) -> int | None:
        """Give how many lines of level error or worse the job logged over fifteen minutes."""
        selector = f'{{{Matcher("job", "=", job)}, level=~"{_BAD_LEVELS}"}}'
        expr = f"sum(count_over_time({selector}[15m]))"
        try:
            found = await asyncio.to_thread(self._logs.instant, expr, self._clock.now_ms() * 1_000_000)
        except WatchkeeperError:
            return None
        assert isinstance(found, Matrix)
        return int(np.nansum(found.values)) if found.values.size else 0
