"""Loki's push route: what Promtail, Alloy, Vector, Fluent Bit and Docker's plugin send to.

source  Loki docs, HTTP API, Ingest logs
"""

import asyncio
from dataclasses import dataclass

from starlette.responses import Response

from watchkeeper.api.loki import text_error
from watchkeeper.collect.logs.push import Push, RateLimited, read_json, read_protobuf
from watchkeeper.model.errors import BadInput
from watchkeeper.model.logs import Entries
from watchkeeper.net.encoding import decompress
from watchkeeper.net.routing import LOGS_WRITE, Call, Route

_INLINE_BYTES_MAX = 32 << 10  # larger bodies are read in a thread, so that the loop goes on


def routes(push: Push, body_bytes_max: int) -> list[Route]:
    """Give the push route."""
    handler = _PushRoute(push, body_bytes_max).receive
    summary = "Take log lines (JSON, or snappy-packed protobuf)"
    return [
        Route(
            "/loki/api/v1/push",
            ("POST",),
            handler,
            LOGS_WRITE,
            summary,
            body_bytes_max=body_bytes_max,
            error=text_error,
        )
    ]


@dataclass(frozen=True, slots=True)
class _PushRoute:
    push: Push
    body_bytes_max: int

    async def receive(self, call: Call) -> Response:
        """Answer 204 when all is on the disk; 400 when some lines were refused (the others are kept); 429; 503."""
        kind = call.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in ("application/json", "application/x-protobuf", ""):
            return text_error(415, f"cannot read push: got Content-Type {kind[:60]!r}, want JSON or protobuf")
        if len(call.body) > _INLINE_BYTES_MAX:
            entries = await asyncio.to_thread(self._read, kind, call)
        else:
            entries = self._read(kind, call)
        if not any(each.lines for each in entries):
            return (
                Response(status_code=204)
                if entries
                else text_error(422, "error at least one valid stream is required for ingestion")
            )
        try:
            appended = await self.push.receive(entries)
        except RateLimited as error:
            return text_error(429, str(error))
        if appended.message:
            return text_error(400, appended.message)
        return Response(status_code=204)

    def _read(self, kind: str, call: Call) -> list[Entries]:
        if kind == "application/json":
            return read_json(call.body)
        body = call.body
        if not call.headers.get("content-encoding"):  # protobuf is always snappy-packed, and says so seldom
            if not body:
                raise BadInput("couldn't parse push request: got no body")
            body = decompress(body, "snappy", self.body_bytes_max)
        return read_protobuf(body)
