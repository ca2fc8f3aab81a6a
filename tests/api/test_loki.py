import asyncio
import gzip
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import cramjam
import pytest
from tests.doubles import StillClock
from tests.net.judges.asgi import Answer, Client

from watchkeeper.api import loki, loki_push
from watchkeeper.api.batch import BatchQuery
from watchkeeper.collect.logs.push import Push
from watchkeeper.collect.logs.pushproto import push_request
from watchkeeper.collect.logs.settings import PushSettings
from watchkeeper.net.app import build_app
from watchkeeper.net.auth import OpenDoor
from watchkeeper.net.settings import NetSettings
from watchkeeper.query.logql.engine import Engine
from watchkeeper.query.logql.settings import LogQuerySettings
from watchkeeper.store.files import RealFiles
from watchkeeper.store.logs.db import LogDb
from watchkeeper.store.logs.settings import LogSettings

NOW_S = 1_700_000_000
NOW = NOW_S * 10**9


class Bench:
    def __init__(self, root: Any, **push: int) -> None:
        self.clock = StillClock(NOW_S * 1000)
        self.db = LogDb(RealFiles(root), LogSettings(), self.clock)
        self.db.load()
        self.engine = Engine(self.db, LogQuerySettings())
        settings = PushSettings(**push)
        made = loki.routes(self.db, self.engine, self.clock)
        made += loki_push.routes(Push(self.db, settings, self.clock), settings.body_bytes_max)
        self.client = Client(build_app(made, OpenDoor("127.0.0.1:9090"), NetSettings(), clock=self.clock))

    async def push(self, *values: list[Any], **labels: str) -> Answer:
        body = {"streams": [{"stream": labels or {"app": "a"}, "values": list(values)}]}
        return await self.client.ask("POST", "/loki/api/v1/push", json=body)

    async def get(self, path: str, headers: dict[str, str] | None = None, /, **params: Any) -> Answer:
        client = Client(self.client.app, headers)
        return await client.ask("GET", f"/loki/api/v1/{path}?{urlencode(params, doseq=True)}")


@pytest.fixture
def run(tmp_path: Any) -> Callable[..., None]:
    def runner(test: Callable[[Bench], Awaitable[None]], **push: int) -> None:
        async def whole() -> None:
            bench = Bench(tmp_path, **push)
            await test(bench)
            await bench.db.stop()

        asyncio.run(whole())

    return runner


def test_json_lines_are_pushed_and_found_in_lokis_shape(run: Any) -> None:
    async def test(bench: Bench) -> None:
        answer = await bench.push([str(NOW - 2), "one"], [str(NOW - 1), "two", {"trace": "7"}], app="a", env="x")
        assert (answer.status, answer.body) == (204, b"")
        found = (await bench.get("query_range", query='{app="a"}')).json()
        assert found["status"] == "success"
        assert found["data"]["resultType"] == "streams"
        assert found["data"]["result"] == [
            {"stream": {"app": "a", "env": "x", "trace": "7"}, "values": [[str(NOW - 1), "two"]]},
            {"stream": {"app": "a", "env": "x"}, "values": [[str(NOW - 2), "one"]]},
        ]
        assert found["data"]["stats"]["summary"]["totalLinesProcessed"] == 2
        headers = {"x-loki-response-encoding-flags": "categorize-labels"}
        apart = (await bench.get("query_range", headers, query='{app="a"} | label_format x="1"')).json()["data"]
        assert apart["encodingFlags"] == ["categorize-labels"]
        assert apart["result"] == [
            {
                "stream": {"app": "a", "env": "x"},
                "values": [
                    [str(NOW - 1), "two", {"structuredMetadata": {"trace": "7"}, "parsed": {"x": "1"}}],
                    [str(NOW - 2), "one", {"parsed": {"x": "1"}}],
                ],
            }
        ]

    run(test)


def protobuf() -> bytes:
    request = push_request()()
    stream = request.streams.add()
    stream.labels = b'{app="p", quoted="a\\"b"}'
    for at, line in enumerate((b"first", b"caf\xe9")):
        entry = stream.entries.add()
        entry.timestamp.seconds, entry.timestamp.nanos = NOW_S - 5, at
        entry.line = line
        pair = entry.structuredMetadata.add()
        pair.name, pair.value = b"n", str(at).encode()
    return bytes(request.SerializeToString())


def test_protobuf_is_taken_snappy_packed_as_promtail_sends_it(run: Any) -> None:
    async def test(bench: Bench) -> None:
        body = bytes(cramjam.snappy.compress_raw(protobuf()))
        kind = "application/x-protobuf"
        answer = await bench.client.ask("POST", "/loki/api/v1/push", body=body, content_type=kind)
        assert answer.status == 204
        found = (await bench.get("query_range", query='{app="p"} | n="1"')).json()["data"]["result"]
        assert found == [
            {"stream": {"app": "p", "n": "1", "quoted": 'a"b'}, "values": [[str(NOW - 5 * 10**9 + 1), "caf\ufffd"]]}
        ]
        for bad in (body[:-3], b"", b"\xff" * 30, b"\xff\xff\xff\xff\x0f" + b"x" * 20):
            refused = await bench.client.ask("POST", "/loki/api/v1/push", body=bad, content_type=kind)
            assert refused.status in (400, 413), bad

    run(test)


def test_gzip_json_is_taken(run: Any) -> None:
    async def test(bench: Bench) -> None:
        body = gzip.compress(b'{"streams":[{"stream":{"app":"z"},"values":[["%d","packed"]]}]}' % NOW)
        answer = await bench.client.ask(
            "POST", "/loki/api/v1/push", body=body, content_type="application/json", content_encoding="gzip"
        )
        assert answer.status == 204
        assert b"packed" in (await bench.get("query_range", query='{app="z"}', end=NOW + 1)).body

    run(test)


@pytest.mark.parametrize(
    ("body", "want"),
    [
        (b"NaN", "couldn't parse push request"),
        (b"[" * 100_000, "couldn't parse push request"),
        (b'{"streams":7}', "couldn't parse push request"),
        (b'{"streams":[{"stream":{"a":"b"},"values":[[1700000000,"number"]]}]}', "couldn't parse push request"),
        (b'{"streams":[{"stream":{"a":"b"},"values":["12"]}]}', "couldn't parse push request"),
        (b'{"streams":[{"stream":{"a":"b"},"values":[["1_0","x"]]}]}', "couldn't parse push request"),
        (b'{"streams":[{"stream":{"a":"b"},"values":[["99999999999999999999","x"]]}]}', "couldn't parse push request"),
        (b'{"streams":[{"stream":{"a-b":"c"},"values":[["1","x"]]}]}', "error parsing labels"),
        (b'{"streams":[{"stream":{"a":"b"},"values":[["1","x"]]}]}', "has timestamp too old: 1970-01-01T00:00:00Z"),
        (b'{"streams":[{"stream":{},"values":[["%d","x"]]}]}' % NOW, "at least one label pair is required per stream"),
        (b'{"streams":[{"stream":{"a":"b"},"values":[["%d","x",{"k":1}]]}]}' % NOW, "couldn't parse push request"),
        (b'{"streams":[{"stream":{"a":"\\ud800"},"values":[["1","x"]]}]}', "couldn't parse push request"),
    ],
)
def test_a_wrong_push_is_answered_400_and_says_why(run: Any, body: bytes, want: str) -> None:
    async def test(bench: Bench) -> None:
        answer = await bench.client.ask("POST", "/loki/api/v1/push", body=body, content_type="application/json")
        assert answer.status == 400
        assert want in answer.body.decode()

    run(test)


def test_the_good_lines_of_a_push_are_kept_when_others_are_refused(run: Any) -> None:
    async def test(bench: Bench) -> None:
        answer = await bench.push([str(NOW), "good"], [str(NOW + 700 * 10**9), "too new"])
        assert answer.status == 400
        assert answer.body.decode().strip() == (
            "entry for stream '{app=\"a\"}' has timestamp too new: 2023-11-14T22:25:00Z"
        )
        found = (await bench.get("query_range", query='{app="a"}', end=NOW + 10**12)).json()["data"]["result"]
        assert [value for stream in found for _, value in stream["values"]] == ["good"]

    run(test)


def test_over_the_rate_is_429_in_lokis_words_and_what_was_accepted_is_within_the_limit(run: Any) -> None:
    async def test(bench: Bench) -> None:
        accepted = 0
        for at in range(400):  # ten seconds at twice the limit
            answer = await bench.push([str(NOW + at), "x" * 500])
            assert answer.status in (204, 429)
            if answer.status == 429:
                assert answer.body.decode().startswith(
                    "Ingestion rate limit exceeded for user fake (limit: 10000 bytes/sec) while attempting to ingest "
                    "'1' lines totaling '500' bytes, reduce log volume"
                )
            accepted += 500 * (answer.status == 204)
            bench.clock.ms += 25
        assert accepted == pytest.approx(100_000, rel=0.05)
        assert bench.db.stats()["bytes"] == accepted

    run(test, ingestion_rate_bytes=10_000, ingestion_burst_bytes=1000)


def test_metric_queries_in_lokis_shape(run: Any) -> None:
    async def test(bench: Bench) -> None:
        for app in ("a", "b"):
            await bench.push(*[[str(NOW - at * 10**9), f'{{"level":"x{at % 2}"}}'] for at in range(10)], app=app)
        params = {"query": 'sum by (app) (count_over_time({app=~".+"}[5s]))', "start": NOW_S - 10, "end": NOW_S}
        found = (await bench.get("query_range", step="5", **params)).json()["data"]
        assert found["resultType"] == "matrix"
        assert found["result"][0] == {
            "metric": {"app": "a"}, "values": [[NOW_S - 5, "5"], [NOW_S, "5"]],
        }  # fmt: skip
        vector = (await bench.get("query", query="sum(rate({app='a'}[5s]))".replace("'", '"'), time=NOW_S)).json()
        assert vector["data"]["resultType"] == "vector"
        assert vector["data"]["result"] == [{"metric": {}, "value": [NOW_S, "1"]}]
        by_level = {"query": 'sum by (level) (count_over_time({app="a"} | json [1m]))', "time": NOW}
        assert [row["value"][1] for row in (await bench.get("query", **by_level)).json()["data"]["result"]] == [
            "5",
            "5",
        ]

    run(test)


def test_what_grafana_asks_a_data_source(run: Any) -> None:
    async def test(bench: Bench) -> None:
        await bench.push([str(NOW), "line"], app="a", env="x")
        await bench.push([str(NOW), "line"], app="b")
        health = (await bench.get("query", query="vector(1)+vector(1)", time=NOW)).json()
        assert health["data"]["result"] == [{"metric": {}, "value": [NOW_S, "2"]}]
        assert (await bench.get("labels")).json() == {"status": "success", "data": ["app", "env"]}
        assert (await bench.get("label/app/values")).json()["data"] == ["a", "b"]
        assert (await bench.get("label/app/values", query='{env="x"}')).json()["data"] == ["a"]
        assert (await bench.get("label/none/values")).json()["data"] == []
        wanted = {"match[]": ['{app="a"}', '{app="b"}']}
        assert (await bench.get("series", **wanted)).json()["data"] == [{"app": "a", "env": "x"}, {"app": "b"}]
        old = {"start": NOW - 10**13, "end": NOW - 10**12}
        assert (await bench.get("labels", **old)).json()["data"] == []
        stats = (await bench.get("index/stats", query='{app="a"}')).json()
        assert stats == {"streams": 1, "chunks": 1, "entries": 1, "bytes": 4}
        assert re.fullmatch(r"\d+\.\d+\.\d+", (await bench.get("status/buildinfo")).json()["version"])
        form = urlencode({"query": '{app="a"}', "start": "2023-11-14T22:00:00Z", "end": "2023-11-14T22:30:00.5Z"})
        kind = "application/x-www-form-urlencoded"
        posted = await bench.client.ask("POST", "/loki/api/v1/query_range", body=form.encode(), content_type=kind)
        assert posted.json()["data"]["result"][0]["values"] == [[str(NOW), "line"]]

    run(test)


@pytest.mark.parametrize(
    ("path", "params", "want"),
    [
        ("query_range", {"query": '{app="a"'}, "parse error at line 1, col 9: syntax error: unexpected $end"),
        ("query_range", {"query": '{app="a"}', "limit": 5001}, "max entries limit per query exceeded"),
        ("query_range", {"query": '{app="a"}', "limit": "x"}, "could not parse 'limit' parameter"),
        ("query_range", {"query": '{app="a"}', "start": 5, "end": 1}, "end timestamp must not be before"),
        ("query_range", {"query": '{app="a"}', "start": "soon"}, "could not parse 'start' parameter"),
        ("query_range", {"query": '{app="a"}', "direction": "up"}, "invalid direction 'up'"),
        ("query_range", {"query": 'rate({a="b"}[1m])', "step": "-1"}, "zero or negative query resolution step"),
        ("query_range", {"query": 'rate({a="b"}[1m])', "step": "0.001", "start": 1, "end": 9e8}, "exceeds the limit"),
        ("query", {}, "syntax error: unexpected $end"),
        ("series", {"match[]": "nope"}, "parse error"),
    ],
)
def test_a_wrong_query_is_answered_400_in_plain_text(run: Any, path: str, params: dict[str, Any], want: str) -> None:
    async def test(bench: Bench) -> None:
        answer = await bench.get(path, **params)
        assert answer.status == 400
        assert answer.headers["content-type"].startswith("text/plain")
        assert want in answer.body.decode()

    run(test)


def test_limit_direction_and_interval(run: Any) -> None:
    async def test(bench: Bench) -> None:
        await bench.push(*[[str(NOW - 60 * 10**9 + at * 10**9), str(at)] for at in range(60)])

        async def lines(**params: Any) -> list[str]:
            found = (await bench.get("query_range", query='{app="a"}', **params)).json()["data"]["result"]
            return [line for stream in found for _, line in stream["values"]]

        assert await lines(limit=2) == ["59", "58"]
        assert await lines(limit=2, direction="FORWARD") == ["0", "1"]
        assert await lines(limit=100, since="10s") == [str(at) for at in range(59, 49, -1)]
        assert await lines(limit=100, interval="20s", direction="forward") == ["0", "20", "40"]

    run(test)


def test_the_batch_of_our_own_pages(run: Any) -> None:
    async def test(bench: Bench) -> None:
        await bench.push([str(NOW - 1), "text"])
        start, end = NOW_S * 1000 - 60_000, NOW_S * 1000
        lines = await loki.run_batch_query(
            bench.engine, BatchQuery("A", "logql", '{app="a"}', False, start, end, None, 10)
        )
        assert lines == {
            "status": "success", "warnings": [], "type": "streams",
            "lines": [{"time_ns": str(NOW - 1), "labels": {"app": "a"}, "line": "text"}],
        }  # fmt: skip
        matrix = await loki.run_batch_query(
            bench.engine, BatchQuery("B", "logql", 'count_over_time({app="a"}[1m])', False, start, end, 20_000, 0)
        )
        assert matrix["type"] == "matrix"
        assert matrix["times"] == [NOW_S * 1000 - 60_000, NOW_S * 1000 - 40_000, NOW_S * 1000 - 20_000, NOW_S * 1000]
        assert matrix["series"] == [{"labels": {"app": "a"}, "values": [None, None, None, 1.0]}]

    run(test)
