"""Prometheus' HTTP API: queries, series, labels and metadata.

source  https://prometheus.io/docs/prometheus/latest/querying/api/
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from starlette.responses import Response

from watchkeeper.api import status
from watchkeeper.api.envelope import error, failed, failure, refusing, success, success_bytes
from watchkeeper.api.matrix_json import data_of
from watchkeeper.api.prometheus_params import duration_ms, limit, matcher_sets, span_ms, time_ms
from watchkeeper.model.clock import Clock, SystemClock
from watchkeeper.model.doors import MetricReader
from watchkeeper.model.errors import BadInput, BadQuery, WatchkeeperError
from watchkeeper.net.routing import READ, Call, Route
from watchkeeper.query.promql.ast import Expr
from watchkeeper.query.promql.engine import Engine, TooManyPoints, check_range_type
from watchkeeper.query.promql.printer import pretty, tree

_GET_POST = ("GET", "POST")
_TRUNCATED = "results truncated due to limit"


@dataclass(frozen=True, slots=True)
class _Api:
    """The handlers, with what they need."""

    engine: Engine
    reader: MetricReader
    clock: Clock

    async def query(self, call: Call) -> Response:
        """Answer GET or POST /api/v1/query."""
        time = time_ms(call, "time", self.clock.now_ms())
        timeout_s, lookback_ms = _times_out(call), duration_ms(call, "lookback_delta")
        at_most, text = limit(call), call.first("query")
        _parsed(self.engine, text)

        def answer() -> Response:
            result = self.engine.instant(text, time, timeout_s=timeout_s, lookback_ms=lookback_ms or None)
            cut = at_most and len(result.labels) > at_most and result.kind in ("vector", "matrix")
            warnings = [*result.warnings, _TRUNCATED] if cut else result.warnings
            return success_bytes(data_of(result.head(at_most) if cut else result), warnings, result.infos)

        return await asyncio.to_thread(_caught, answer)

    async def query_range(self, call: Call) -> Response:
        """Answer GET or POST /api/v1/query_range."""
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
        points_max = self.engine.settings.points_max
        if (end_ms - start_ms) // step_ms > points_max:
            return failure(400, "bad_data", str(TooManyPoints(points_max)))
        timeout_s, lookback_ms = _times_out(call), duration_ms(call, "lookback_delta")
        at_most, text = limit(call), call.first("query")
        try:
            check_range_type(_parsed(self.engine, text))
        except BadQuery as fault:
            raise BadInput(f'invalid parameter "query": {fault}') from None

        def answer() -> Response:
            result = self.engine.range(
                text, start_ms, end_ms, step_ms, timeout_s=timeout_s, lookback_ms=lookback_ms or None
            )
            cut = at_most and len(result.labels) > at_most
            warnings = [*result.warnings, _TRUNCATED] if cut else result.warnings
            return success_bytes(data_of(result.head(at_most) if cut else result), warnings, result.infos)

        return await asyncio.to_thread(_caught, answer)

    async def format_query(self, call: Call) -> Response:
        """Answer GET or POST /api/v1/format_query: the expression in Prometheus' layout."""
        return success(pretty(_parsed(self.engine, call.first("query"))))

    async def parse_query(self, call: Call) -> Response:
        """Answer GET or POST /api/v1/parse_query: the expression as a tree."""
        return success(tree(_parsed(self.engine, call.first("query"))))

    async def labels(self, call: Call) -> Response:
        """Answer GET or POST /api/v1/labels."""
        span, sets, at_most = span_ms(call), matcher_sets(call), limit(call)
        names = await asyncio.to_thread(self.reader.label_names, sets, *span)
        return _listed(names, at_most)

    async def label_values(self, call: Call) -> Response:
        """Answer GET /api/v1/label/{name}/values."""
        span, sets, at_most = span_ms(call), matcher_sets(call), limit(call)
        name = call.path["name"]
        if not name:
            raise BadInput(f'invalid label name: "{name}"')
        values = await asyncio.to_thread(self.reader.label_values, name, sets, *span)
        return _listed(values, at_most)

    async def series(self, call: Call) -> Response:
        """Answer GET or POST /api/v1/series."""
        if not call.every("match[]"):
            raise BadInput("no match[] parameter provided")
        span, sets, at_most = span_ms(call), matcher_sets(call), limit(call)

        def answer() -> Response:
            labels = self.reader.series(sets, *span).labels()
            labels.sort(key=lambda one: list(one.items()))
            if at_most and len(labels) > at_most:
                return success(labels[:at_most], [_TRUNCATED])
            return success(labels)

        return await asyncio.to_thread(_caught, answer)

    async def metadata(self, call: Call) -> Response:
        """Answer GET /api/v1/metadata."""
        at_most, each = limit(call), limit(call, "limit_per_metric")
        wanted = call.first("metric")
        known = self.reader.metadata()
        names = [wanted] if wanted in known else [] if wanted else list(known)
        found = {
            name: [{"type": one.type, "help": one.help, "unit": one.unit} for one in known[name][: each or None]]
            for name in names[: at_most or None]
        }
        return success(found)


def _listed(texts: list[str], at_most: int) -> Response:
    if at_most and len(texts) > at_most:
        return success(texts[:at_most], [_TRUNCATED])
    return success(texts)


def _times_out(call: Call) -> float | None:
    timeout_ms = duration_ms(call, "timeout")
    return None if timeout_ms is None else timeout_ms / 1000


def _parsed(engine: Engine, text: str) -> Expr:
    try:
        return engine.parse(text)
    except BadInput as fault:
        raise BadInput(f'invalid parameter "query": {fault}') from None


def _caught(answer: Callable[[], Response]) -> Response:
    try:
        return answer()
    except WatchkeeperError as fault:
        return failed(fault)


def routes(
    engine: Engine, reader: MetricReader, sources: status.Sources | None = None, clock: Clock | None = None
) -> list[Route]:
    """Give Prometheus' routes for reading, with those of api.status.

    sources  what the status pages show; empty ones when None
    """
    api = _Api(engine, reader, clock or SystemClock())
    table = (
        ("/api/v1/query", _GET_POST, api.query, "Evaluate PromQL at one moment"),
        ("/api/v1/query_range", _GET_POST, api.query_range, "Evaluate PromQL over a range of time"),
        ("/api/v1/format_query", _GET_POST, api.format_query, "Lay out a PromQL expression"),
        ("/api/v1/parse_query", _GET_POST, api.parse_query, "Give a PromQL expression as a tree"),
        ("/api/v1/labels", _GET_POST, api.labels, "Names of labels"),
        ("/api/v1/label/{name}/values", ("GET",), api.label_values, "Values of a label"),
        ("/api/v1/series", _GET_POST, api.series, "Label sets of series"),
        ("/api/v1/metadata", ("GET",), api.metadata, "Types and help texts of metrics"),
    )
    own = [
        Route(path, methods, refusing(handler), READ, summary, error=error) for path, methods, handler, summary in table
    ]
    return own + status.routes(sources or status.Sources())
