"""Status of the store and what an admin may do to it, beside the real Prometheus: both get the same samples."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import orjson
import pytest
from tests.collect.conftest import real_prometheus  # noqa: F401 # fixture
from tests.net.judges.asgi import Answer, Client
from tests.system.remote_write import write_request

from watchkeeper.api import ingest, prometheus, tsdb
from watchkeeper.api.queries import queries_of
from watchkeeper.api.tsdb import AdminApiSettings
from watchkeeper.collect.remote_write import RemoteWrite
from watchkeeper.model.clock import SystemClock
from watchkeeper.net.app import build_app
from watchkeeper.net.auth import OpenDoor
from watchkeeper.net.settings import NetSettings
from watchkeeper.query.promql.engine import Engine
from watchkeeper.store.files import RealFiles
from watchkeeper.store.metrics.db import MetricDb
from watchkeeper.store.settings import MetricSettings

ADMIN = "/api/v1/admin/tsdb/"
Ask = Callable[..., Awaitable[Answer]]


def series(now_ms: int) -> list[Any]:
    """Names, labels and values whose numbers differ, so that the largest are in one order only."""
    found = []
    for at, name in enumerate(("short", "quite_long_name", "é")):
        for number in range(3 + 4 * at):
            labels = {"__name__": name, "number": f"{number:03d}", "instance": "a" if number % 3 else "bb"}
            found.append((labels, [(now_ms - 1000, float(number)), (now_ms, number + 0.5)]))
    return found


def with_store(folder: Path, steps: Callable[[MetricDb, Ask], Awaitable[None]], *, enabled: bool = True) -> None:
    async def run() -> None:
        db = MetricDb(RealFiles(folder), MetricSettings(), SystemClock())
        await db.start()
        routes = [
            *tsdb.routes(db, AdminApiSettings(enabled=enabled), SystemClock()),
            *ingest.routes(RemoteWrite(db)),
            *prometheus.routes(queries_of(Engine(db)), db),
        ]
        client = Client(build_app(routes, OpenDoor("127.0.0.1:9090"), NetSettings()))

        async def ask(method: str, path: str, body: bytes = b"", **params: str) -> Answer:
            renamed = {name.replace("match", "match[]"): value for name, value in params.items()}
            return await client.ask(method, f"{path}?{urlencode(renamed)}", body=body, origin="http://localhost:9090")

        await steps(db, ask)
        await db.stop()

    asyncio.run(run())


async def count(ask: Ask, query: str) -> list[str]:
    answer = await ask("GET", "/api/v1/query", query=query)
    return [one["value"][1] for one in orjson.loads(answer.body)["data"]["result"]]


@pytest.mark.peer
def test_status_and_refusals_are_those_of_the_real_prometheus(
    real_prometheus: Callable[..., Any],  # noqa: F811 # the fixture
    tmp_path: Path,
) -> None:
    now_ms = SystemClock().now_ms()
    body = write_request(series(now_ms))
    peer = real_prometheus("global: {}\n", "--web.enable-remote-write-receiver", "--web.enable-admin-api")
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
    urlopen(Request(f"{peer.url}/api/v1/write", body, headers), timeout=10).close()

    async def steps(_: MetricDb, ask: Ask) -> None:
        assert (await ask("POST", "/api/v1/write", body)).status == 204
        for limit in ({}, {"limit": "2"}, {"limit": "x"}, {"limit": "0"}):
            status, theirs = await asyncio.to_thread(peer.ask, "/api/v1/status/tsdb", **limit)
            ours = await ask("GET", "/api/v1/status/tsdb", **limit)
            assert (ours.status, _ordered(ours.body)) == (status, _ordered(theirs)), limit
        for path in ("delete_series", "snapshot?skip_head=maybe", "delete_series?match[]=%7B"):
            refused = await asyncio.to_thread(_post, f"{peer.url}{ADMIN}{path}")
            ours = await ask("POST", ADMIN + path) if "?" not in path else await _raw(ask, path)
            assert (ours.status, orjson.loads(ours.body)) == refused, path

    with_store(tmp_path / "ours", steps)


def _ordered(body: bytes) -> Any:
    """Leave out the names of pairs: those with the same number of series come in any order."""
    answer = orjson.loads(body)
    if "data" in answer:
        pairs = answer["data"]["seriesCountByLabelValuePair"]
        answer["data"]["seriesCountByLabelValuePair"] = [one["value"] for one in pairs]
    return answer


def _post(url: str) -> tuple[int, Any]:
    try:
        with urlopen(Request(url, method="POST"), timeout=5) as answer:
            return answer.status, orjson.loads(answer.read())
    except HTTPError as refusal:
        return refusal.code, orjson.loads(refusal.read())


async def _raw(ask: Ask, path: str) -> Answer:
    name, _, query = path.partition("?")
    key, _, value = query.partition("=")
    return await ask("POST", ADMIN + name, **{key.replace("match[]", "match"): value.replace("%7B", "{")})


def test_deleted_series_are_gone_from_answers_and_then_from_the_disk(tmp_path: Path) -> None:
    async def steps(db: MetricDb, ask: Ask) -> None:
        now_ms = SystemClock().now_ms()
        await ask("POST", "/api/v1/write", write_request(series(now_ms)))
        assert await count(ask, "count(short)") == ["3"]
        answer = await ask("PUT", ADMIN + "delete_series", match="short")
        assert (answer.status, answer.body) == (204, b"")
        assert await count(ask, "count(short)") == []
        assert await count(ask, 'count({"é"})') == ["11"]
        assert (await ask("POST", ADMIN + "clean_tombstones")).status == 204

    with_store(tmp_path, steps)


def test_a_snapshot_opens_as_a_data_directory(tmp_path: Path) -> None:
    names = []

    async def steps(db: MetricDb, ask: Ask) -> None:
        await ask("POST", "/api/v1/write", write_request(series(SystemClock().now_ms())))
        answer = await ask("POST", ADMIN + "snapshot")
        names.append(orjson.loads(answer.body)["data"]["name"])

    async def look(db: MetricDb, ask: Ask) -> None:
        assert await count(ask, 'count({"é"})') == ["11"]

    with_store(tmp_path, steps)
    with_store(tmp_path / "snapshots" / names[0], look)


def test_blocks_and_segments_are_told(tmp_path: Path) -> None:
    async def steps(db: MetricDb, ask: Ask) -> None:
        now_ms = SystemClock().now_ms()
        await ask("POST", "/api/v1/write", write_request(series(now_ms)))
        await db.flush(now_ms + 1)
        blocks = orjson.loads((await ask("GET", "/api/v1/status/tsdb/blocks")).body)["data"]["blocks"]
        assert [(one["minTime"], one["maxTime"]) for one in blocks][-1][1] == now_ms + 1
        assert sum(one["stats"]["numSamples"] for one in blocks) == 42
        replay = orjson.loads((await ask("GET", "/api/v1/status/walreplay")).body)["data"]
        assert 0 < replay["min"] <= replay["current"] == replay["max"]

    with_store(tmp_path, steps)


def test_nothing_is_done_while_the_api_is_not_enabled(tmp_path: Path) -> None:
    async def steps(_: MetricDb, ask: Ask) -> None:
        for name in ("delete_series", "clean_tombstones", "snapshot"):
            answer = await ask("POST", ADMIN + name, match="up")
            assert (answer.status, orjson.loads(answer.body)["error"]) == (503, "admin APIs disabled")

    with_store(tmp_path, steps, enabled=False)
