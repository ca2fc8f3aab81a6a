"""Prometheus' HTTP API: expressions, series, labels and metadata.

source  https://prometheus.io/docs/prometheus/latest/querying/api/
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from starlette.responses import Response

from watchkeeper.api import status
from watchkeeper.api.envelope import error, failed, refusing, success
from watchkeeper.api.prometheus_params import limit, matcher_sets, span_ms
from watchkeeper.api.queries import TRUNCATED, Queries, parsed
from watchkeeper.api.queries import routes as query_routes
from watchkeeper.model.doors import MetricReader
from watchkeeper.model.errors import BadInput, WatchkeeperError
from watchkeeper.net.routing import READ, Call, Route
from watchkeeper.query.promql.engine import Engine
from watchkeeper.query.promql.printer import pretty, tree

_GET_POST = ("GET", "POST")


@dataclass(frozen=True, slots=True)
class _Api:
    """The handlers, with what they need."""

    engine: Engine
    reader: MetricReader

    async def format_query(self, call: Call) -> Response:
        """Answer GET or POST /api/v1/format_query: the expression in Prometheus' layout."""
        return success(pretty(parsed(self.engine, call.first("query"))))

    async def parse_query(self, call: Call) -> Response:
        """Answer GET or POST /api/v1/parse_query: the expression as a tree."""
        return success(tree(parsed(self.engine, call.first("query"))))

    async def labels(self, call: Call) -> Response:
        """Answer GET or POST /api/v1/labels."""
        span, sets, at_most = span_ms(call), matcher_sets(call, ""), limit(call)
        names = await asyncio.to_thread(self.reader.label_names, sets, *span) if span[0] <= span[1] else []
        return _listed(names, at_most)

    async def label_values(self, call: Call) -> Response:
        """Answer GET /api/v1/label/{name}/values."""
        span, sets, at_most = span_ms(call), matcher_sets(call, ""), limit(call)
        name = call.path["name"]
        if not name:
            raise BadInput(f'invalid label name: "{name}"')
        values = await asyncio.to_thread(self.reader.label_values, name, sets, *span) if span[0] <= span[1] else []
        return _listed(values, at_most)

    async def series(self, call: Call) -> Response:
        """Answer GET or POST /api/v1/series."""
        if not call.every("match[]"):
            raise BadInput("no match[] parameter provided")
        span, sets, at_most = span_ms(call), matcher_sets(call), limit(call)

        def answer() -> Response:
            labels = self.reader.series(sets, *span).labels() if span[0] <= span[1] else []
            labels.sort(key=lambda one: list(one.items()))
            if at_most and len(labels) > at_most:
                return success(labels[:at_most], [TRUNCATED])
            return success(labels)

        return await asyncio.to_thread(_caught, answer)

    async def metadata(self, call: Call) -> Response:
        """Answer GET /api/v1/metadata."""
        at_most, each = _number(call, "limit"), _number(call, "limit_per_metric")
        wanted = call.first("metric")
        known = self.reader.metadata()
        names = [wanted] if wanted in known else [] if wanted else list(known)
        found = {
            name: [
                {"type": one.type, "help": one.help, "unit": one.unit}
                for one in known[name][: each if each > 0 else None]
            ]
            for name in (names if at_most < 0 else names[:at_most])
        }
        return success(found)


def _number(call: Call, name: str) -> int:
    """Read an integer; -1 when it is not given.

    raises  BadInput in Prometheus' words
    """
    text = call.first(name)
    try:
        return int(text[:20]) if text else -1
    except ValueError:
        raise BadInput(f"{name} must be a number") from None


def _listed(texts: list[str], at_most: int) -> Response:
    if at_most and len(texts) > at_most:
        return success(texts[:at_most], [TRUNCATED])
    return success(texts)


def _caught(answer: Callable[[], Response]) -> Response:
    try:
        return answer()
    except WatchkeeperError as fault:
        return failed(fault)


def routes(queries: Queries, reader: MetricReader, sources: status.Sources | None = None) -> list[Route]:
    """Give Prometheus' routes for reading, with those of api.queries and api.status.

    sources  what the status pages show; empty ones when None
    """
    api = _Api(queries.engine, reader)
    table = (
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
    return [*query_routes(queries), *own, *status.routes(sources or status.Sources())]
