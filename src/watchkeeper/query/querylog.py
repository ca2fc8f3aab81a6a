"""The query log: a line of JSON for each query, as Prometheus writes its `query_log_file`.

source  Prometheus 3.5, promql/engine.go exec, util/logging/file.go
"""

import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import orjson
import structlog

from watchkeeper.model import metrics
from watchkeeper.model.clock import Clock

log = structlog.get_logger(__name__)

_ENABLED = metrics.gauge("prometheus_engine_query_log_enabled", "State of the query log.")
_FAILURES = metrics.counter("prometheus_engine_query_log_failures", "The number of query log failures.")


class QueryLog:
    """Appends to a file; safe from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._file: TextIO | None = None

    @property
    def enabled(self) -> bool:
        """Say whether there is a file to write to."""
        return self._file is not None

    def apply(self, path: Path | None) -> None:
        """Write to another file from now on, opened anew (so that it can be rotated), or to none."""
        with self._lock:
            if self._file is not None:
                self._file.close()
            self._file = None
            if path is not None:
                try:
                    self._file = path.open("a", encoding="utf-8", buffering=1)
                except OSError as error:
                    _FAILURES.inc()
                    log.warning("query_log_not_opened", path=str(path), error=error.strerror)
            _ENABLED.set(self._file is not None)

    def write(self, said: Mapping[str, Any]) -> None:
        """Add a line: params, stats, error, httpRequest."""
        now_ms = self._clock.now_ms()
        line = {"time": stamp(now_ms), "level": "INFO", "msg": "promql query logged", **said}
        with self._lock:
            if self._file is None:
                return
            try:
                self._file.write(orjson.dumps(line).decode() + "\n")
            except OSError:
                _FAILURES.inc()


def stamp(time_ms: int) -> str:
    """Write a moment as Go's JSON does, in UTC with milliseconds."""
    try:
        text = datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError):
        return str(time_ms)
    return text.removesuffix("+00:00") + "Z"
