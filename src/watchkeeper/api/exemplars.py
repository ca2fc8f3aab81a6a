"""Prometheus' API for exemplars.

source  Prometheus 3.5, web/api/v1/api.go queryExemplars
"""

import asyncio
from collections.abc import Sequence

import orjson
from starlette.responses import Response

from watchkeeper.api.envelope import error, refusing, success_bytes
from watchkeeper.api.points_json import number_text, stamp
from watchkeeper.api.prometheus_params import EARLIEST_MS, LATEST_MS, time_ms
from watchkeeper.model.doors import ExemplarReader, Matchers
from watchkeeper.model.errors import BadInput
from watchkeeper.model.exemplar import Exemplar
from watchkeeper.model.labels import Labels
from watchkeeper.net.routing import READ, Call, Route
from watchkeeper.query.promql.ast import Expr, VectorSelector
from watchkeeper.query.promql.engine import Engine
from watchkeeper.query.promql.parser import walk


def routes(engine: Engine, reader: ExemplarReader) -> list[Route]:
    """Give the route that answers exemplars."""

    async def query_exemplars(call: Call) -> Response:
        """Answer GET or POST /api/v1/query_exemplars: those of the series that any selector of the query names."""
        start_ms, end_ms = time_ms(call, "start", EARLIEST_MS), time_ms(call, "end", LATEST_MS)
        if end_ms < start_ms:
            raise BadInput("end timestamp must not be before start timestamp")
        selectors = _selectors(engine, call.first("query"))
        if not selectors:
            return Response(status_code=204)
        found = await asyncio.to_thread(reader.find, selectors, start_ms, end_ms)
        return success_bytes(b"[" + b",".join(_series(*one) for one in found) + b"]")

    return [
        Route(
            "/api/v1/query_exemplars",
            ("GET", "POST"),
            refusing(query_exemplars),
            READ,
            "Exemplars of an expression's series",
            error=error,
        )
    ]


def _series(labels: Labels, exemplars: Sequence[Exemplar]) -> bytes:
    told = b",".join(
        b'{"labels":%b,"value":"%b","timestamp":%b}'
        % (orjson.dumps(dict(one.labels)), number_text(one.value), stamp(one.time_ms))
        for one in exemplars
    )
    return b'{"seriesLabels":%b,"exemplars":[%b]}' % (orjson.dumps(dict(labels)), told)


def _selectors(engine: Engine, text: str) -> list[Matchers]:
    found: list[Matchers] = []

    def note(expr: Expr) -> None:
        if isinstance(expr, VectorSelector):
            found.append(expr.matchers)

    walk(engine.parse(text), note)
    return found
