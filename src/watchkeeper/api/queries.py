"""Prometheus' query and query_range, the queries that run now, and ending one.

source  https://prometheus.io/docs/prometheus/latest/querying/api/#expression-queries
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
from starlette.responses import Response

from watchkeeper.api.columns_json import MEDIA_TYPE as COLUMNS
from watchkeeper.api.columns_json import columns_of
from watchkeeper.api.envelope import BEFORE_DATA, after_data, error, failed, failure, refusing, success, success_bytes
from watchkeeper.api.matrix_json import data_of
from watchkeeper.api.prometheus_params import duration_ms, limit, read_duration_ms, time_ms
from watchkeeper.model.clock import Clock, SystemClock
from watchkeeper.model.errors import BadInput, BadQuery, WatchkeeperError
from watchkeeper.net.routing import EDIT, READ, Call, Route
from watchkeeper.query.limits import TooManySamples
from watchkeeper.query.pace import QUICK_SAMPLES_MAX, Pace
from watchkeeper.query.promql.ast import Expr
from watchkeeper.query.promql.engine import Engine, Terms, TooManyPoints, check_range_type
from watchkeeper.query.promql.result import Result
from watchkeeper.query.promql.trace import Trace
from watchkeeper.query.querylog import QueryLog, stamp
from watchkeeper.query.traffic import Asked, Traffic

TRUNCATED = "results truncated due to limit"
_GET_POST = ("GET", "POST")

Span = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Queries:
    """Runs queries from outside: in turn, counted, logged, ended when nobody waits."""

    engine: Engine
    traffic: Traffic
    log: QueryLog
    clock: Clock
    pace: Pace = field(default_factory=Pace)

    async def run(
        self,
        call: Call,
        text: str,
        span: Span,
        terms: Terms,
        write: Callable[[Result, dict[str, Any]], bytes],
        *,
        at_once: bool = False,
    ) -> bytes:
        """Evaluate a query when it is the caller's turn, and write its answer in the same thread.

        span    start, end, step in ms; step 0 for one moment
        write   makes the answer of the result and Prometheus' statistics
        at_once  it is known to be short: see Traffic.run
        raises  what the engine raises; Refused, TimedOut, Canceled
        """
        start_ms, end_ms, step_ms = span
        who = call.who.name if call.who.role or call.who.scopes else f"{call.who.name}@{call.address}"
        kind = "query_range" if step_ms else "query"
        asked = Asked(text, kind, who, call.address, start_ms, end_ms, step_ms, terms.budget)

        def work() -> bytes:
            began_s = time.perf_counter()
            fault: WatchkeeperError | None = None
            result: Result | None = None
            try:
                result = (
                    self.engine.range(text, start_ms, end_ms, step_ms, terms)
                    if step_ms
                    else self.engine.instant(text, end_ms, terms)
                )
            except WatchkeeperError as error:
                fault = error
                raise
            finally:
                seconds = time.perf_counter() - began_s
                said = _stats(terms, asked, seconds, result)
                if self.log.enabled:
                    self._note(call, asked, said, fault)
            return write(result, said)

        body = await self.traffic.run(asked, work, call.is_gone, at_once=at_once)
        if not step_ms and asked.began_s is not None:
            self.pace.note(text, time.monotonic() - asked.began_s)
        return body

    def _note(self, call: Call, asked: Asked, said: dict[str, Any], fault: WatchkeeperError | None) -> None:
        params = {"query": asked.text, "start": stamp(asked.start_ms), "end": stamp(asked.end_ms)}
        shown = {key: value for key, value in said["samples"].items() if key != "totalQueryableSamplesPerStep"}
        line: dict[str, Any] = {"params": {**params, "step": asked.step_ms // 1000}}
        if fault is not None:
            line["error"] = str(fault)
        line["stats"] = {"timings": said["timings"], "samples": shown}
        line["httpRequest"] = {"clientIP": call.address, "method": call.method, "path": call.route}
        self.log.write(line)

    async def answer(self, call: Call, text: str, span: Span) -> Response:
        """Answer a query with its parameters timeout, lookback_delta, limit and stats; in columns when asked for."""
        timeout_ms, lookback_ms = duration_ms(call, "timeout"), _lookback_ms(call)
        timeout_s = None if timeout_ms is None else timeout_ms / 1000
        at_most, stats = limit(call), call.first("stats")
        in_columns = COLUMNS in call.headers.get("accept", "")
        counting = bool(stats) or self.log.enabled
        at_once = not counting and not span[2] and self.pace.is_quick(text)

        def write(result: Result, said: dict[str, Any]) -> bytes:
            cut = at_most and len(result.labels) > at_most and result.kind in ("vector", "matrix")
            warnings = [*result.warnings, TRUNCATED] if cut else result.warnings
            result = result.head(at_most) if cut else result
            if in_columns:
                return columns_of(replace(result, warnings=warnings))
            if stats and stats != "all":
                said["samples"].pop("totalQueryableSamplesPerStep", None)
            within = b',"stats":' + orjson.dumps(said) if stats else b""
            return data_of(result, BEFORE_DATA, within + b"}" + after_data(warnings, result.infos))

        try:
            if at_once:
                terms = self.engine.terms(timeout_s, lookback_ms, samples_max=QUICK_SAMPLES_MAX)
                try:
                    body = await self.run(call, text, span, terms, write, at_once=True)
                except TooManySamples:
                    at_once = False
            if not at_once:
                terms = self.engine.terms(timeout_s, lookback_ms, counting=counting)
                body = await self.run(call, text, span, terms, write)
        except WatchkeeperError as fault:
            return failed(fault)
        return Response(body, media_type=COLUMNS if in_columns else "application/json")

    async def query(self, call: Call) -> Response:
        """Answer GET or POST /api/v1/query."""
        at_ms = time_ms(call, "time", self.clock.now_ms())
        text = call.first("query")
        parsed(self.engine, text)
        return await self.answer(call, text, (at_ms, at_ms, 0))

    async def query_range(self, call: Call) -> Response:
        """Answer GET or POST /api/v1/query_range."""
        span = _span(call)
        if (span[1] - span[0]) // span[2] > self.engine.settings.points_max:
            return failure(400, "bad_data", str(TooManyPoints(self.engine.settings.points_max)))
        text = call.first("query")
        try:
            check_range_type(parsed(self.engine, text))
        except BadQuery as fault:
            raise BadInput(f'invalid parameter "query": {fault}') from None
        return await self.answer(call, text, span)

    async def explain(self, call: Call) -> Response:
        """Answer GET or POST /api/v1/explain: what each node of the expression gave and took; parameters as query's.

        With start, end and step it is evaluated over a range, else at one moment. Nothing kept is used.
        """
        text = call.first("query")
        parsed(self.engine, text)
        at_ms = time_ms(call, "time", self.clock.now_ms())
        span = _span(call) if call.first("step") else (at_ms, at_ms, 0)
        terms = self.engine.terms()
        terms.trace = Trace(text)

        def write(result: Result, said: dict[str, Any]) -> bytes:
            assert terms.trace is not None
            notes = {"warnings": result.warnings, "infos": result.infos}
            return orjson.dumps({"plan": terms.trace.whole.told(), "timings": said["timings"], **notes})

        try:
            return success_bytes(await self.run(call, text, span, terms, write))
        except WatchkeeperError as fault:
            return failed(fault)

    async def active(self, _call: Call) -> Response:
        """Answer GET /api/v1/status/active_queries: who asks what, since when, and how many samples were read."""
        return success([_shown(asked) for asked in self.traffic.active()])

    async def cancel(self, call: Call) -> Response:
        """Answer DELETE /api/v1/status/active_queries/{id}."""
        number = call.path["id"]
        if not number.isdecimal() or not self.traffic.cancel(int(number[:18])):
            return failure(404, "not_found", f"no active query {number[:40]}")
        return Response(status_code=204)


def _span(call: Call) -> Span:
    """Read start, end and step.

    raises  BadInput in Prometheus' words
    """
    start_ms, end_ms = time_ms(call, "start"), time_ms(call, "end")
    if end_ms < start_ms:
        raise BadInput('invalid parameter "end": end timestamp must not be before start time')
    step_ms = duration_ms(call, "step")
    if step_ms is None:
        raise BadInput('invalid parameter "step": cannot parse "" to a valid duration')
    if step_ms <= 0:
        raise BadInput(
            'invalid parameter "step": zero or negative query resolution step widths are not accepted. '
            "Try a positive integer"
        )
    return start_ms, end_ms, step_ms


def _lookback_ms(call: Call) -> int | None:
    text = call.first("lookback_delta")
    try:
        lookback_ms = read_duration_ms(text) if text else 0
    except BadInput as fault:
        raise BadInput(f"error parsing lookback delta duration: {fault}") from None
    return lookback_ms if lookback_ms > 0 else None


def _shown(asked: Asked) -> dict[str, Any]:
    return {
        "id": asked.number,
        "query": asked.text,
        "kind": asked.kind,
        "who": asked.who,
        "remoteAddr": asked.address,
        "start": asked.start_ms / 1000,
        "end": asked.end_ms / 1000,
        "step": asked.step_ms / 1000,
        "state": "waiting" if asked.began_s is None else "running",
        "seconds": round(asked.seconds, 3),
        "waitedSeconds": round(asked.waited_s, 3),
        "samplesRead": asked.budget.read_samples,
        "samplesHeld": asked.budget.samples,
    }


def _stats(terms: Terms, asked: Asked, seconds: float, result: Result | None) -> dict[str, Any]:
    """Give Prometheus' statistics of a query.

    source  Prometheus 3.5, util/stats/query_stats.go
    """
    timings = {
        "evalTotalTime": seconds,
        "resultSortTime": 0,
        "queryPreparationTime": terms.budget.selecting_s,
        "innerEvalTime": max(0.0, seconds - terms.budget.selecting_s),
        "execQueueTime": asked.waited_s,
        "execTotalTime": asked.waited_s + seconds,
    }
    samples: dict[str, Any] = {
        "totalQueryableSamples": 0 if terms.tally is None else terms.tally.total,
        "peakSamples": terms.budget.peak_samples,
    }
    if terms.tally is not None and result is not None and len(terms.tally.counts) == len(result.times):
        steps = zip(result.times.tolist(), terms.tally.counts.tolist(), strict=True)
        samples["totalQueryableSamplesPerStep"] = [[at_ms / 1000, count] for at_ms, count in steps]
    return {"timings": timings, "samples": samples}


def parsed(engine: Engine, text: str) -> Expr:
    """Parse a query's text.

    raises  BadInput in the API's words
    """
    try:
        return engine.parse(text)
    except BadInput as fault:
        raise BadInput(f'invalid parameter "query": {fault}') from None


def queries_of(engine: Engine, log: QueryLog | None = None, clock: Clock | None = None) -> Queries:
    """Give what runs an engine's queries for callers from outside."""
    clock = clock or SystemClock()
    return Queries(engine, Traffic(engine.settings), log or QueryLog(clock), clock)


def routes(queries: Queries) -> list[Route]:
    """Give the routes."""
    table = (
        ("/api/v1/query", _GET_POST, queries.query, READ, "Evaluate PromQL at one moment"),
        ("/api/v1/query_range", _GET_POST, queries.query_range, READ, "Evaluate PromQL over a range of time"),
        ("/api/v1/explain", _GET_POST, queries.explain, READ, "What each node of an expression gave and took"),
        ("/api/v1/status/active_queries", ("GET",), queries.active, READ, "Queries that run or wait now"),
        ("/api/v1/status/active_queries/{id}", ("DELETE",), queries.cancel, EDIT, "End a query"),
    )
    return [
        Route(path, methods, refusing(handler), access, summary, error=error)
        for path, methods, handler, access, summary in table
    ]
