"""All queries of a dashboard's refresh in one request, answered in columns.

Request   {"from": ms, "to": ms, "queries": [{"ref", "kind": "promql"|"logql", "expr", "instant", "step": ms, "limit"}]}
          (a query may have a "from" and "to" of its own)
Answer    {"results": {ref: {"status", "type", "times": [ms], "series": [{"labels", "values"}], "warnings"}}}; null is
          no sample, "+Inf", "-Inf" and "NaN" are strings; a query that fails has {"status": "error", "errorType",
          "error"}
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.responses import Response

from watchkeeper.api.columns_json import columns_of
from watchkeeper.api.envelope import error, failure, kind_of
from watchkeeper.api.queries import Queries
from watchkeeper.model.errors import BadInput, BadQuery, WatchkeeperError
from watchkeeper.net.routing import READ, Call, Route

_TIME_MAX_MS = 1 << 53


@dataclass(frozen=True, slots=True)
class BatchQuery:
    """One query of a batch.

    step_ms  None: the range divided so that a panel has some 300 points
    limit    lines of a log query; 0 is the engine's default
    """

    ref: str
    kind: str
    expr: str
    instant: bool
    from_ms: int
    to_ms: int
    step_ms: int | None
    limit: int


# Answers a LogQL query with a mapping that orjson can write, in the shape above. Raises BadInput. Called in a thread.
AnswerLogs = Callable[[BatchQuery], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Batch:
    queries: Queries
    logs: AnswerLogs | None

    async def answer(self, call: Call) -> Response:
        """Answer POST /api/query/batch."""
        try:
            queries = read_batch(call.body, self.queries.engine.settings.batch_queries_max)
        except BadInput as fault:
            return failure(400, "bad_data", str(fault))
        answers = await asyncio.gather(*(self._one(call, query) for query in queries))
        rows = [orjson.dumps(query.ref) + b":" + answer for query, answer in zip(queries, answers, strict=True)]
        return Response(b'{"results":{' + b",".join(rows) + b"}}", media_type="application/json")

    async def _one(self, call: Call, query: BatchQuery) -> bytes:
        try:
            if query.kind == "logql":
                return await asyncio.to_thread(self._logql, query)
            step_ms = 0 if query.instant else query.step_ms or max(1000, (query.to_ms - query.from_ms) // 300)
            span = (query.to_ms if query.instant else query.from_ms, query.to_ms, step_ms)
            terms = self.queries.engine.terms()
            return await self.queries.run(call, query.expr, span, terms, lambda result, _: columns_of(result))
        except WatchkeeperError as fault:
            _, kind = kind_of(fault)
            kind = "bad_data" if isinstance(fault, BadQuery) and fault.position else kind
            return orjson.dumps({"status": "error", "errorType": kind, "error": str(fault)})

    def _logql(self, query: BatchQuery) -> bytes:
        if self.logs is None:
            raise BadInput("cannot answer a LogQL query: got no log store, want one")
        return orjson.dumps(self.logs(query), option=orjson.OPT_SERIALIZE_NUMPY)


def read_batch(body: bytes, queries_max: int) -> list[BatchQuery]:
    """Read a batch request.

    raises  BadInput naming what is wrong
    """
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as fault:
        raise BadInput(f"cannot read batch: got {fault}, want JSON") from None
    if not isinstance(content, dict) or not isinstance(content.get("queries"), list):
        raise BadInput('cannot read batch: want {"from", "to", "queries": […]}')
    if len(content["queries"]) > queries_max:
        raise BadInput(f"cannot read batch: got {len(content['queries'])} queries, want at most {queries_max}")
    from_ms, to_ms = _integer(content, "from"), _integer(content, "to")
    if to_ms < from_ms:
        raise BadInput(f'cannot read batch: got "to" {to_ms} before "from" {from_ms}, want it after')
    queries = [_query(one, at, from_ms, to_ms) for at, one in enumerate(content["queries"])]
    if len({query.ref for query in queries}) < len(queries):
        raise BadInput('cannot read batch: got the same "ref" twice, want each once')
    return queries


def _query(one: Any, at: int, from_ms: int, to_ms: int) -> BatchQuery:
    if not isinstance(one, dict) or not isinstance(one.get("expr"), str):
        raise BadInput(f'cannot read query {at} of the batch: want {{"ref", "kind", "expr"}}')
    kind = one.get("kind", "promql")
    if kind not in ("promql", "logql"):
        raise BadInput(f'cannot read query {at} of the batch: got kind {kind!r}, want "promql" or "logql"')
    step_ms = _integer(one, "step") if one.get("step") else None
    limit = _integer(one, "limit") if one.get("limit") else 0
    from_ms = _integer(one, "from") if "from" in one else from_ms
    to_ms = _integer(one, "to") if "to" in one else to_ms
    if to_ms < from_ms:
        raise BadInput(f'cannot read query {at} of the batch: got "to" {to_ms} before "from" {from_ms}, want it after')
    ref = one.get("ref", str(at))
    if not isinstance(ref, str):
        raise BadInput(f'cannot read query {at} of the batch: got "ref" {ref!r}, want text')
    return BatchQuery(ref, kind, one["expr"], bool(one.get("instant")), from_ms, to_ms, step_ms, limit)


def _integer(content: dict[str, Any], name: str) -> int:
    value = content.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _TIME_MAX_MS:
        raise BadInput(f'cannot read batch: got "{name}" {value!r}, want a number of milliseconds')
    return int(value)


def routes(queries: Queries, logs: AnswerLogs | None = None) -> list[Route]:
    """Give the batch route; `logs` answers LogQL."""
    summary = "Answer many queries at once, in columns"
    handler = _Batch(queries, logs).answer
    return [Route("/api/query/batch", ("POST",), handler, READ, summary, error=error)]
