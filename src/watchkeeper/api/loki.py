"""Loki's HTTP API over the log store: what logcli and Grafana's Loki data source ask for.

source  Loki docs, HTTP API
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.responses import PlainTextResponse, Response

from watchkeeper.api import loki_params as params
from watchkeeper.api.batch import BatchQuery
from watchkeeper.api.loki_json import batch_answer, query_answer
from watchkeeper.model.clock import Clock
from watchkeeper.model.doors import LogReader
from watchkeeper.model.errors import BadInput, OverLimit
from watchkeeper.model.labels import Labels
from watchkeeper.model.matchers import Matcher
from watchkeeper.net.routing import READ, Call, Handler, Route
from watchkeeper.query.logql.engine import Engine
from watchkeeper.query.logql.parser import parse, parse_selector
from watchkeeper.query.logql.result import Lines
from watchkeeper.query.logql.tree import LogQuery

_NS_PER_MS = 1_000_000
_LABELS_SINCE_NS = 6 * 3600 * params.NS_PER_S
_POINTS_WANTED = 300
_API_VERSION = "3.5.0"  # the Loki whose API this is


def routes(reader: LogReader, engine: Engine, clock: Clock) -> list[Route]:
    """Give the routes that read."""
    api = _Loki(reader, engine, clock)
    table: list[tuple[str, Handler, str]] = [
        ("query", api.query, "Evaluate LogQL at a moment"),
        ("query_range", api.query_range, "Evaluate LogQL over a time range"),
        ("labels", api.labels, "List label names of log streams"),
        ("label", api.labels, "List label names of log streams"),
        ("label/{name}/values", api.label_values, "List a label's values"),
        ("series", api.series, "List log streams"),
        ("index/stats", api.index_stats, "Say how much a selector covers"),
        ("status/buildinfo", api.build_info, "Say which version of the API this is"),
    ]
    return [
        Route(f"/loki/api/v1/{path}", ("GET", "POST"), handler, READ, summary, error=text_error)
        for path, handler, summary in table
    ]


def text_error(status: int, text: str) -> Response:
    """Answer an error as Loki does: plain text."""
    return PlainTextResponse(text + "\n", status)


def answer_logs(engine: Engine) -> Callable[[BatchQuery], dict[str, Any]]:
    """Make what the UI's batch route calls for LogQL, in a thread."""

    def answer(query: BatchQuery) -> dict[str, Any]:
        limit = query.limit or 1000
        if query.instant:
            return batch_answer(engine.instant(query.expr, query.to_ms * _NS_PER_MS, limit=limit), instant=True)
        step_ms = query.step_ms or max(1000, (query.to_ms - query.from_ms) // _POINTS_WANTED)
        start_ms, end_ms = query.from_ms, query.to_ms
        if not isinstance(parse(query.expr), LogQuery):
            start_ms, end_ms = start_ms - start_ms % step_ms, end_ms - end_ms % step_ms
        found = engine.range(query.expr, start_ms * _NS_PER_MS, end_ms * _NS_PER_MS, step_ms * _NS_PER_MS, limit=limit)
        return batch_answer(found, instant=False)

    return answer


async def run_batch_query(engine: Engine, query: BatchQuery) -> dict[str, Any]:
    """Answer one LogQL query of a batch.

    raises  BadQuery, OverLimit
    """
    return await asyncio.to_thread(answer_logs(engine), query)


@dataclass(frozen=True, slots=True)
class _Loki:
    reader: LogReader
    engine: Engine
    clock: Clock

    async def query(self, call: Call) -> Response:
        """Answer /query."""
        time_ns = params.time_ns(call, "time", self._now_ns())
        limit, direction = params.limit(call), params.direction(call)
        return await self._run(
            call, lambda expr: self.engine.instant(expr, time_ns, limit=limit, direction=direction), instant=True
        )

    async def query_range(self, call: Call) -> Response:
        """Answer /query_range; the steps of a metric query are aligned to multiples of the step, as Loki does."""
        start_ns, end_ns = params.span_ns(call, self._now_ns())
        step_ns, interval_ns = params.step_ns(call, start_ns, end_ns), params.interval_ns(call)
        limit, direction = params.limit(call), params.direction(call)

        def evaluate(expr: str) -> Any:
            if isinstance(parse(expr), LogQuery):
                found = self.engine.range(expr, start_ns, end_ns, step_ns, limit=limit, direction=direction)
                return _thinned(found, interval_ns)
            return self.engine.range(expr, start_ns - start_ns % step_ns, end_ns - end_ns % step_ns, step_ns)

        return await self._run(call, evaluate, instant=False)

    async def labels(self, call: Call) -> Response:
        """Answer /labels."""
        found = await self._streams(call, _query_selector(call))
        return _data(sorted({name for labels in found for name in labels}))

    async def label_values(self, call: Call) -> Response:
        """Answer /label/{name}/values."""
        found = await self._streams(call, _query_selector(call))
        name = call.path["name"]
        return _data(sorted({labels[name] for labels in found if name in labels}))

    async def series(self, call: Call) -> Response:
        """Answer /series."""
        selectors = [parse_selector(text, may_be_empty=True) for text in call.every("match[]") or call.every("match")]
        return _data([dict(labels) for labels in await self._streams(call, selectors)])

    async def index_stats(self, call: Call) -> Response:
        """Answer /index/stats."""
        start_ns, end_ns = params.span_ns(call, self._now_ns())
        query = parse(call.first("query"))
        if not isinstance(query, LogQuery):
            raise BadInput("only label matchers are supported")
        found = await asyncio.to_thread(self.reader.volume, query.matchers, start_ns, end_ns)
        return _json(
            {
                "streams": found.streams,
                "chunks": found.chunks,
                "entries": found.entries,
                "bytes": found.size_bytes,
            }
        )

    async def build_info(self, _call: Call) -> Response:
        """Answer /status/buildinfo."""
        return _json(
            {
                "version": _API_VERSION,
                "revision": "watchkeeper",
                "branch": "",
                "buildUser": "",
                "buildDate": "",
                "goVersion": "",
            }
        )

    async def _run(self, call: Call, evaluate: Callable[[str], Any], *, instant: bool) -> Response:
        categorize = "categorize-labels" in call.headers.get("x-loki-response-encoding-flags", "")

        def answer() -> bytes:
            return query_answer(evaluate(call.first("query")), instant=instant, categorize=categorize)

        try:
            body = await asyncio.to_thread(answer)
        except OverLimit as error:
            status = 504 if error.limit == "query_timeout_ms" else 400
            return text_error(status, str(error))
        return Response(body, media_type="application/json")

    async def _streams(self, call: Call, selectors: Sequence[Sequence[Matcher]]) -> list[Labels]:
        start_ns, end_ns = params.span_ns(call, self._now_ns(), _LABELS_SINCE_NS)
        return await asyncio.to_thread(self.reader.streams, selectors, start_ns, end_ns)

    def _now_ns(self) -> int:
        return self.clock.now_ms() * _NS_PER_MS


def _query_selector(call: Call) -> list[Sequence[Matcher]]:
    text = call.first("query")
    return [parse_selector(text, may_be_empty=True)] if text else []


def _thinned(found: Any, interval_ns: int) -> Any:
    """Leave out lines that are nearer than an interval to the one before."""
    if interval_ns <= 0 or not isinstance(found, Lines):
        return found
    kept: list[Any] = []
    for line in found.lines:
        if not kept or abs(line.time_ns - kept[-1].time_ns) >= interval_ns:
            kept.append(line)
    return Lines(kept, found.effort)


def _data(content: Any) -> Response:
    return _json({"status": "success", "data": content})


def _json(content: Any) -> Response:
    return Response(orjson.dumps(content), media_type="application/json")
