"""POST /api/v1/write, through the gate; the real Prometheus is one of the senders."""

import asyncio
import gzip
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cramjam
import pytest
import zstandard
from tests.collect.conftest import BodyServer, RecordingWriter, real_prometheus, server  # noqa: F401 # fixtures
from tests.collect.test_remote_write import NOW_MS, label, sample, series, target
from tests.net.judges.asgi import Answer, Client
from tests.system.remote_write import Symbols

from watchkeeper.api import ingest
from watchkeeper.collect.remote_write import VERSION_1, VERSION_2, RemoteWrite
from watchkeeper.model.clock import SystemClock
from watchkeeper.model.errors import Refused
from watchkeeper.model.labels import label_pairs
from watchkeeper.model.matchers import Matcher
from watchkeeper.net.app import build_app
from watchkeeper.net.auth import OpenDoor
from watchkeeper.net.listener import Listener
from watchkeeper.net.protobuf import field as message_field
from watchkeeper.net.settings import NetSettings
from watchkeeper.store.files import RealFiles
from watchkeeper.store.metrics.db import MetricDb
from watchkeeper.store.settings import MetricSettings

GOOD = b"".join(series(labels, [(1.0, NOW_MS)]) for labels in target(3))
HEADERS = {
    "content_type": "application/x-protobuf",
    "content_encoding": "snappy",
    "x_prometheus_remote_write_version": "0.1.0",
}


def packed(body: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(body))


def app(writer: Any, settings: NetSettings | None = None) -> Any:
    remote_write = RemoteWrite(writer, exemplars=getattr(writer, "exemplars", None))
    return build_app(ingest.routes(remote_write), OpenDoor("127.0.0.1:9090"), settings or NetSettings())


def post(writer: Any, body: bytes, **headers: str) -> Answer:
    return Client(app(writer)).call("POST", "/api/v1/write", body=body, **headers)


def test_a_good_request_is_answered_204_once_it_is_on_the_disk() -> None:
    writer = RecordingWriter()
    answer = post(writer, packed(GOOD), **HEADERS)
    assert (answer.status, answer.body) == (204, b"")
    assert writer.commits == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content_encoding": "snappy"},
        {**HEADERS, "content_type": "application/x-protobuf;proto=prometheus.WriteRequest"},
        {**HEADERS, "content_type": "Application/X-Protobuf; charset=x"},
    ],
)
def test_headers_that_mean_remote_write_1(headers: dict[str, str]) -> None:
    assert post(RecordingWriter(), packed(GOOD), **headers).status == 204


@pytest.mark.parametrize(
    "headers",
    [
        {**HEADERS, "content_type": "application/json"},
        {**HEADERS, "content_type": "application/x-protobuf;proto=io.prometheus.write.v3.Request"},
        {**HEADERS, "content_encoding": "gzip"},
        {**HEADERS, "content_encoding": "nonsense"},
    ],
)
def test_other_formats_are_answered_415(headers: dict[str, str]) -> None:
    body = gzip.compress(GOOD) if headers["content_encoding"] == "gzip" else packed(GOOD)
    assert post(RecordingWriter(), body, **headers).status == 415


def test_a_bad_series_is_answered_400_and_the_rest_is_kept() -> None:
    writer = RecordingWriter()
    bad = message_field(1, label("__name__", "x") + label("a", "1") + label("a", "2") + sample(1.0, NOW_MS))
    answer = post(writer, packed(GOOD + bad), **HEADERS)
    assert answer.status == 400
    assert answer.body.startswith(b"1 of 4 samples refused, the rest is stored: duplicate label name 'a' (1)")
    assert sum(len(row.values) for row in writer.rows) == 3


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xff\xff\xff\x0f", b"garbage", packed(b"\x0a\xff"), b"\x80\x80\x80\x80\x01"]
)
def test_garbage_is_answered_400_or_413(body: bytes) -> None:
    writer = RecordingWriter()
    assert post(writer, body, **HEADERS).status in ({204} if not body else {400, 413})
    assert not writer.rows


def test_a_store_that_takes_nothing_is_answered_503() -> None:
    writer = RecordingWriter()
    writer.refusal = Refused("disk full", retry_after_s=7)
    answer = post(writer, packed(GOOD), **HEADERS)
    assert (answer.status, answer.headers["retry-after"]) == (503, "7")


def test_out_of_order_and_duplicate_samples_are_answered_as_prometheus_does(tmp_path: Path) -> None:
    now_ms = SystemClock().now_ms()
    one = target(1)[0]

    async def run() -> list[tuple[int, bytes]]:
        db = MetricDb(RealFiles(tmp_path), MetricSettings(), SystemClock())
        await db.start()
        client = Client(app(db))
        answers = []
        for value, time_ms in ((1.0, now_ms), (1.0, now_ms), (2.0, now_ms), (3.0, now_ms - 5), (4.0, now_ms + 10**9)):
            body = packed(series(one, [(value, time_ms)]))
            answer = await client.ask("POST", "/api/v1/write", body=body, **HEADERS)
            answers.append((answer.status, answer.body))
        await db.stop()
        return answers

    answers = asyncio.run(run())
    assert [status for status, _ in answers] == [204, 204, 400, 400, 400]
    assert b"duplicate sample for timestamp" in answers[2][1]
    assert b"out of order sample" in answers[3][1]
    assert b"out of bounds" in answers[4][1]


def test_version_2_is_told_what_was_written() -> None:
    request = Symbols()
    for labels in target(3):
        request.add(labels, [(NOW_MS, 1.0)])
    request.add({"a": "1"}, [(NOW_MS, 1.0)])
    kind = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
    for encoding, body in (("snappy", packed(request.body())), ("zstd", zstandard.compress(request.body()))):
        answer = post(RecordingWriter(), body, content_type=kind, content_encoding=encoding)
        assert answer.status == 400
        assert answer.headers["x-prometheus-remote-write-samples-written"] == "3"
        assert answer.headers["x-prometheus-remote-write-histograms-written"] == "0"
        assert answer.headers["x-prometheus-remote-write-exemplars-written"] == "0"
        assert b"missing metric name" in answer.body


PAGE = (
    b"# HELP a text\n# TYPE a counter\n"
    + b"".join(b'a_total{n="%d"} %d # {trace_id="t%d"} 0.5\n' % (at, at % 3 and at, at) for at in range(700))
    + b'b NaN\nc -0\nd +Inf\n# TYPE h histogram\nh_bucket{le="+Inf"} 2 # {trace_id="x",b="y"} 1e-7 1500.5\n'
    + b"h_count 2\nh_sum 2\n# EOF\n"
)
CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
remote_write:
- {{url: "http://{address}/api/v1/write", queue_config: {{max_samples_per_send: 300}}, send_exemplars: true,
   protobuf_message: {message}, metadata_config: {{send_interval: 1s}}}}
scrape_configs: [{{job_name: j, static_configs: [{{targets: ["{target}"], labels: {{k: "é"}}}}]}}]
"""


@pytest.mark.peer
@pytest.mark.parametrize("message", [VERSION_1, VERSION_2])
def test_the_real_prometheus_sends_everything(
    server: BodyServer,  # noqa: F811 # the fixture
    real_prometheus: Callable[..., Any],  # noqa: F811 # the fixture
    tmp_path: Path,
    message: str,
) -> None:
    server.answers["/metrics"] = (PAGE, "application/openmetrics-text; version=1.0.0")

    async def run() -> tuple[MetricDb, dict[str, Any]]:
        db = MetricDb(RealFiles(tmp_path / "ours"), MetricSettings(), SystemClock())
        await db.start()
        listener = Listener(app(db, NetSettings(listen="127.0.0.1:0")), NetSettings(listen="127.0.0.1:0"))
        await listener.start()
        address = listener.address.removeprefix("http://")
        text = CONFIG.format(address=address, target=server.address, message=message)
        flags = "--enable-feature=exemplar-storage,metadata-wal-records"
        peer = await asyncio.to_thread(real_prometheus, text, flags)
        async with asyncio.timeout(40):
            while _samples(db) < 2200 or not db.metadata():
                await asyncio.sleep(0.1)
        span = {"start": "0", "end": "5000000000"}
        told = {
            "samples": (await asyncio.to_thread(peer.get, "/api/v1/query", query='{job="j"}[2m]'))["result"],
            "exemplars": await asyncio.to_thread(peer.get, "/api/v1/query_exemplars", query='{job="j"}', **span),
        }
        await listener.stop()
        await db.stop()
        return db, told

    db, told = asyncio.run(run())
    theirs = {label_pairs(one["metric"]): one["values"] for one in told["samples"]}
    ours = list(db.select([Matcher("job", "=", "j")], 0, 1 << 60))
    compared = 0
    for part in ours:
        for labels, values in zip(part.labels.labels(), part.values, strict=True):
            known = {round(time * 1000): float(value) for time, value in theirs[label_pairs(labels)]}
            for time_ms, value in zip(part.times.tolist(), values.tolist(), strict=True):
                if time_ms in known and not math.isnan(value):
                    assert value == known[time_ms]
                    compared += 1
    assert sum(len(part.labels) for part in ours) == len(theirs) == 711
    assert compared > 1400
    _check_exemplars(db, told["exemplars"])
    said = db.metadata()["a_total" if message == VERSION_2 else "a"]
    assert [(one.type, one.help) for one in said] == [("counter", "text")]


def _samples(db: MetricDb) -> int:
    return sum(len(part.times) * len(part.labels) for part in db.select([Matcher("job", "=", "j")], 0, 1 << 60))


def _check_exemplars(db: MetricDb, theirs: list[Any]) -> None:
    """Hold the exemplars that were sent against those that the sender has."""
    ours = db.exemplars.find([[Matcher("job", "=", "j")]], 0, 1 << 60)
    assert len(ours) == len(theirs) == 701
    for (labels, exemplars), want in zip(
        ours, sorted(theirs, key=lambda one: label_pairs(one["seriesLabels"])), strict=True
    ):
        assert labels == want["seriesLabels"]
        assert [(one.labels, one.value, one.time_ms) for one in exemplars] == [
            (one["labels"], float(one["value"]), round(one["timestamp"] * 1000)) for one in want["exemplars"]
        ]


REFUSED_S = 60 if os.environ.get("WATCHKEEPER_LONG") else 0  # else as long as a few refusals take


class Closed:
    """A store that takes nothing until it is opened."""

    def __init__(self, db: MetricDb) -> None:
        self.db, self.refusals, self.is_open = db, 0, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.db, name)

    def append(self, rows: Any) -> Any:
        if not self.is_open:
            self.refusals += 1
            raise Refused("cannot append samples: got a full disk, want room", retry_after_s=1)
        return self.db.append(rows)


@pytest.mark.peer
def test_a_real_prometheus_that_is_refused_for_a_while_loses_nothing(
    server: BodyServer,  # noqa: F811 # the fixture
    real_prometheus: Callable[..., Any],  # noqa: F811 # the fixture
    tmp_path: Path,
) -> None:
    server.answers["/metrics"] = (b"".join(b'm{n="%d"} %d\n' % (at, at) for at in range(300)), "text/plain")

    async def run() -> tuple[set[tuple[str, int]], set[tuple[str, int]]]:
        db = MetricDb(RealFiles(tmp_path / "ours"), MetricSettings(), SystemClock())
        await db.start()
        store, settings = Closed(db), NetSettings(listen="127.0.0.1:0")
        listener = Listener(app(store, settings), settings)
        await listener.start()
        text = CONFIG.format(address=listener.address, target=server.address, message=VERSION_1)
        peer = await asyncio.to_thread(real_prometheus, text)

        async def kept() -> set[tuple[str, int]]:
            found = await asyncio.to_thread(peer.get, "/api/v1/query", query='m{job="j"}[5m]')
            return {(one["metric"]["n"], round(at * 1000)) for one in found["result"] for at, _ in one["values"]}

        async with asyncio.timeout(40 + 2 * REFUSED_S):
            began_s = time.monotonic()
            while store.refusals < 4 or len(await kept()) < 1200 or time.monotonic() - began_s < REFUSED_S:
                await asyncio.sleep(0.2)
            assert not db.select([Matcher("job", "=", "j")], 0, 1 << 60)
            store.is_open = True
            theirs = await kept()
            while not theirs <= _points(db):
                await asyncio.sleep(0.2)
        ours = _points(db)
        await listener.stop()
        await db.stop()
        return ours, theirs

    ours, theirs = asyncio.run(run())
    assert len(theirs) >= 1200
    assert theirs <= ours


def _points(db: MetricDb) -> set[tuple[str, int]]:
    return {
        (labels["n"], time_ms)
        for part in db.select([Matcher("__name__", "=", "m")], 0, 1 << 60)
        for labels in part.labels.labels()
        for time_ms in part.times.tolist()
    }
