"""Prometheus' API for its own database: status, and what an admin may do to it.

source  Prometheus 3.5, web/api/v1/api.go serveTSDBStatus, deleteSeries, snapshot, cleanTombstones, serveWALReplayStatus
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Any, Self

from starlette.responses import Response

from watchkeeper.api.envelope import error, failure, refusing, success
from watchkeeper.api.prometheus_params import matcher_sets, span_ms
from watchkeeper.model.census import BlockSaid, Counted, TierSaid
from watchkeeper.model.clock import Clock
from watchkeeper.model.document import Settings, setting
from watchkeeper.model.doors import MetricAdmin
from watchkeeper.model.errors import BadInput
from watchkeeper.net.routing import ADMIN, READ, Call, Handler, Route

_EMPTY_MS = (1 << 63) - 1
_TOP = 10
_TRUE, _FALSE = (
    frozenset({"1", "t", "T", "TRUE", "true", "True"}),
    frozenset({"0", "f", "F", "FALSE", "false", "False"}),
)


class AdminApiSettings(Settings):
    """What an admin may do over HTTP."""

    enabled: bool = setting(
        False, "Take snapshots and delete series at /api/v1/admin/tsdb. Prometheus' --web.enable-admin-api."
    )

    def with_flag(self, flag: bool) -> Self:  # as the command line has it
        """Give the same, enabled when the command line says so."""
        return self.model_copy(update={"enabled": self.enabled or flag})


class _Tsdb:
    def __init__(self, store: MetricAdmin, clock: Clock) -> None:
        self._store, self._clock = store, clock

    async def status(self, call: Call) -> Response:
        """Answer GET /api/v1/status/tsdb; limit=."""
        limit = _positive(call.first("limit"))
        census = await asyncio.to_thread(self._store.census, limit)
        return success(
            {
                "headStats": {
                    "numSeries": census.series,
                    "numLabelPairs": census.pairs,
                    "chunkCount": census.chunks,
                    "minTime": _EMPTY_MS if census.start_ms is None else census.start_ms,
                    "maxTime": -1 - _EMPTY_MS if census.end_ms is None else census.end_ms,
                },
                "seriesCountByMetricName": _listed(census.by_metric),
                "labelValueCountByLabelName": _listed(census.values_by_label),
                "memoryInBytesByLabelName": _listed(census.bytes_by_label),
                "seriesCountByLabelValuePair": _listed(census.by_pair),
            }
        )

    async def blocks(self, _call: Call) -> Response:
        """Answer GET /api/v1/status/tsdb/blocks, as Prometheus from 3.6 on, and our downsampling tiers."""
        blocks, tiers = await asyncio.to_thread(self._store.block_list), self._store.tier_list()
        return success({"blocks": [_block(one) for one in blocks], "tiers": [_tier(one) for one in tiers]})

    async def wal_replay(self, _call: Call) -> Response:
        """Answer GET /api/v1/status/walreplay: segments of the log, first and last, and how far reading has come."""
        first, last, current = self._store.replayed()
        return success({"min": first, "max": last, "current": current})

    async def delete_series(self, call: Call) -> Response:
        """Answer POST and PUT /api/v1/admin/tsdb/delete_series; match[]=, start=, end=."""
        if not call.every("match[]"):
            raise BadInput("no match[] parameter provided")
        start_ms, end_ms = span_ms(call)
        await self._store.delete_series(matcher_sets(call), start_ms, end_ms)
        return Response(status_code=204)

    async def clean_tombstones(self, _call: Call) -> Response:
        """Answer POST and PUT /api/v1/admin/tsdb/clean_tombstones."""
        await self._store.clean_tombstones()
        return Response(status_code=204)

    async def snapshot(self, call: Call) -> Response:
        """Answer POST and PUT /api/v1/admin/tsdb/snapshot; skip_head= is read, and all is in the snapshot anyway."""
        text = call.first("skip_head")
        if text and text not in _TRUE | _FALSE:
            problem = f'strconv.ParseBool: parsing "{text}": invalid syntax'
            raise BadInput(f'invalid parameter "skip_head": unable to parse boolean: {problem}')
        now = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)
        name = f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(8)}"
        await self._store.snapshot(f"snapshots/{name}")
        return success({"name": name})


def routes(store: MetricAdmin, settings: AdminApiSettings, clock: Clock) -> list[Route]:
    """Give the routes; those for admins refuse while the settings do not enable them."""
    api = _Tsdb(store, clock)
    status = (
        ("/api/v1/status/tsdb", api.status, "Cardinality of the series in memory"),
        ("/api/v1/status/tsdb/blocks", api.blocks, "Blocks on the disk"),
        ("/api/v1/status/walreplay", api.wal_replay, "How far the log has been read"),
    )
    admin = (
        ("/api/v1/admin/tsdb/delete_series", api.delete_series, "Delete samples of series"),
        ("/api/v1/admin/tsdb/clean_tombstones", api.clean_tombstones, "Remove deleted samples from the disk"),
        ("/api/v1/admin/tsdb/snapshot", api.snapshot, "Make a snapshot below the data directory"),
    )
    return [
        *(Route(path, ("GET",), refusing(handler), READ, summary, error=error) for path, handler, summary in status),
        *(
            Route(path, ("POST", "PUT"), refusing(_only_if(settings.enabled, handler)), ADMIN, summary, error=error)
            for path, handler, summary in admin
        ),
    ]


def _only_if(enabled: bool, handler: Callable[[Call], Awaitable[Response]]) -> Handler:
    @wraps(handler)
    async def guarded(call: Call) -> Response:
        if not enabled:
            return failure(503, "unavailable", "admin APIs disabled")
        return await handler(call)

    return guarded


def _positive(text: str) -> int:
    if not text:
        return _TOP
    if not text.isdecimal() or not int(text[:10]) > 0:
        raise BadInput("limit must be a positive number")
    return int(text[:10])


def _listed(counted: Counted) -> list[dict[str, Any]]:
    return [{"name": name, "value": count} for name, count in counted]


def _tier(said: TierSaid) -> dict[str, Any]:
    stats = {"numBlocks": said.blocks, "numBytes": said.size_bytes}
    return {"every": said.every, "minTime": said.first_ms, "maxTime": said.until_ms, "stats": stats}


def _block(said: BlockSaid) -> dict[str, Any]:
    name = f"{said.number:08d}"
    return {
        "ulid": name,
        "minTime": said.start_ms,
        "maxTime": said.end_ms,
        "stats": {"numSamples": said.samples, "numSeries": said.series, "numBytes": said.size_bytes},
        "compaction": {
            "level": 2 if said.parents else 1,
            "sources": [f"{number:08d}" for number in said.parents] or [name],
        },
        "version": 1,
    }
