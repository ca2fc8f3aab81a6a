"""The door of LogQL: text and times in, lines or series out. Synchronous; called in worker threads."""

import time
from dataclasses import dataclass
from typing import Literal

import numpy as np

from watchkeeper.model.doors import LogReader
from watchkeeper.model.errors import BadQuery, OverLimit
from watchkeeper.model.logs import TimesNs
from watchkeeper.model.metrics import counter, histogram
from watchkeeper.query.logql import vectors, windows
from watchkeeper.query.logql.lines import CheckTime, Wanted, find_lines
from watchkeeper.query.logql.parser import parse
from watchkeeper.query.logql.pipeline import prepare
from watchkeeper.query.logql.result import Effort, Lines, Matrix, Result
from watchkeeper.query.logql.settings import LogQuerySettings
from watchkeeper.query.logql.tree import (
    Binary,
    Grouping,
    LogQuery,
    MetricQuery,
    Number,
    Query,
    RangeAggregation,
    VectorAggregation,
)

Direction = Literal["forward", "backward"]

_SECONDS = histogram("watchkeeper_logql_query_seconds", "How long log queries took.", ("kind",))
_BYTES = counter("watchkeeper_logql_bytes_processed", "Bytes of lines that log queries went through.")
_ADDING = frozenset({"rate", "count_over_time", "bytes_rate", "bytes_over_time", "sum_over_time"})


class Engine:
    """Evaluates LogQL.

    raises  BadQuery when a query is wrong, OverLimit when it is too much
    """

    def __init__(self, reader: LogReader, settings: LogQuerySettings) -> None:
        self._reader, self._settings = reader, settings

    def instant(self, expr: str, time_ns: int, *, limit: int = 100, direction: Direction = "backward") -> Result:
        """Evaluate at a moment. A log query gives its lines of the hour before, as Loki's does."""
        query = parse(expr)
        if isinstance(query, LogQuery):
            return self._lines(query, time_ns - 3_600_000_000_000, time_ns + 1, limit, direction)
        return self._steps(query, np.array([time_ns], np.int64))

    def range(
        self,
        expr: str,
        start_ns: int,
        end_ns: int,
        step_ns: int,
        *,
        limit: int = 100,
        direction: Direction = "backward",
    ) -> Result:
        """Evaluate over a time range: lines with start <= time < end, or values at start, start + step, … end."""
        query = parse(expr)
        self._check_length(end_ns - start_ns)
        if isinstance(query, LogQuery):
            return self._lines(query, start_ns, end_ns, limit, direction)
        if step_ns <= 0:
            raise BadQuery("zero or negative query resolution step widths are not accepted. Try a positive integer")
        if (end_ns - start_ns) // step_ns > self._settings.max_points:
            raise BadQuery(
                "exceeded maximum resolution of 11,000 points per time series. "
                "Try increasing the value of the step parameter"
            )
        return self._steps(query, np.arange(start_ns, end_ns + 1, step_ns, dtype=np.int64))

    def _check_length(self, length_ns: int) -> None:
        if length_ns > self._settings.max_query_length_ms * 1_000_000:
            allowed_h, got_h = self._settings.max_query_length_ms / 3.6e6, length_ns / 3.6e12
            raise BadQuery(f"the query time range exceeds the limit (query length: {got_h:g}h, limit: {allowed_h:g}h)")

    def _lines(self, query: LogQuery, start_ns: int, end_ns: int, limit: int, direction: Direction) -> Lines:
        allowed = self._settings.max_entries_limit_per_query
        if limit > allowed:
            raise BadQuery(
                f"max entries limit per query exceeded, limit > max_entries_limit_per_query ({limit} > {allowed})"
            )
        began = time.monotonic()
        effort = Effort()
        blocks = self._reader.select(query.matchers, start_ns, end_ns - 1)
        wanted = Wanted(start_ns, end_ns, limit, direction == "backward", self._settings.max_result_bytes)
        found = []
        if limit > 0:
            found = find_lines(blocks, prepare(query.stages), wanted, effort, _Deadline(began, self._settings))
        self._note(effort, began, "lines")
        return Lines(found, effort)

    def _steps(self, query: Query, times_ns: TimesNs) -> Matrix:
        assert not isinstance(query, LogQuery)
        began = time.monotonic()
        run = _Run(self._reader, self._settings, times_ns, Effort(), _Deadline(began, self._settings))
        found = run.evaluate(query, None)
        if len(found.labels) > self._settings.max_query_series:
            raise BadQuery(
                f"maximum number of series ({self._settings.max_query_series}) reached for a single query; consider "
                "reducing query cardinality by adding more specific stream selectors, reducing the time range, or "
                "aggregating results with functions like sum, count or topk"
            )
        self._note(run.effort, began, "metric")
        return Matrix(found.labels, found.times_ns, found.values, run.effort, found.is_scalar)

    def _note(self, effort: Effort, began: float, kind: str) -> None:
        effort.seconds = time.monotonic() - began
        _SECONDS.labels(kind).observe(effort.seconds)
        _BYTES.inc(effort.bytes)


class _Deadline(CheckTime):
    def __init__(self, began: float, settings: LogQuerySettings) -> None:
        self._until = began + settings.query_timeout_ms / 1000
        self._settings = settings

    def __call__(self) -> None:
        if time.monotonic() > self._until:
            raise OverLimit("query_timeout_ms", "a query that takes longer", self._settings.query_timeout_ms)


@dataclass(frozen=True, slots=True)
class _Run:
    """One metric query on its way."""

    reader: LogReader
    settings: LogQuerySettings
    times_ns: TimesNs
    effort: Effort
    check_time: CheckTime

    def evaluate(self, query: MetricQuery, keep: Grouping | None) -> Matrix:
        """Evaluate a part; `keep` says which labels matter to a sum around it."""
        match query:
            case Number():
                values = np.full((1, len(self.times_ns)), query.value)
                return Matrix([{}], self.times_ns, values, self.effort, is_scalar=not query.is_vector)
            case RangeAggregation():
                return self._range(query, keep)
            case VectorAggregation():
                adds = query.op == "sum" and isinstance(query.inner, RangeAggregation) and query.inner.op in _ADDING
                inner = self.evaluate(query.inner, query.grouping if adds else None)
                if inner.is_scalar:
                    raise BadQuery(f"parse error : unexpected literal in aggregation {query.op}")
                return vectors.aggregate(query, inner)
            case Binary():
                return vectors.combine(query, self.evaluate(query.left, None), self.evaluate(query.right, None))

    def _range(self, query: RangeAggregation, keep: Grouping | None) -> Matrix:
        spans = windows.Windows(self.times_ns, query.range_ns, query.offset_ns)
        blocks = self.reader.select(query.query.matchers, int(spans.after[0]) + 1, int(spans.until[-1]))
        return windows.aggregate(query, blocks, spans, keep, self.settings, self.effort, self.check_time)
