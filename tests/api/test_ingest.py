"""POST /api/v1/write, through the gate; the real Prometheus is one of the senders."""

import asyncio
import gzip
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cramjam
import pytest
from tests.collect.conftest import BodyServer, RecordingWriter, real_prometheus, server  # noqa: F401 # fixtures
from tests.collect.test_remote_write import NOW_MS, label, sample, series, target
from tests.collect.test_remote_write import field as message_field
from tests.net.judges.asgi import Answer, Client

from watchkeeper.api import ingest
from watchkeeper.collect.remote_write import RemoteWrite
from watchkeeper.model.clock import SystemClock
from watchkeeper.model.errors import Refused
from watchkeeper.model.matchers import Matcher
from watchkeeper.net.app import build_app
from watchkeeper.net.auth import OpenDoor
from watchkeeper.net.listener import Listener
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
    return build_app(ingest.routes(RemoteWrite(writer)), OpenDoor("127.0.0.1:9090"), settings or NetSettings())


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
        {**HEADERS, "content_type": "application/x-protobuf;proto=io.prometheus.write.v2.Request"},
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


@pytest.mark.peer
def test_the_real_prometheus_sends_everything(
    server: BodyServer,  # noqa: F811 # the fixture
    real_prometheus: Callable[..., Any],  # noqa: F811 # the fixture
    tmp_path: Path,
) -> None:
    body = b"# HELP a_total text\n# TYPE a_total counter\n" + b"".join(
        b'a_total{n="%d"} %d\n' % (at, at % 3 and at) for at in range(700)
    )
    server.answers["/metrics"] = (body + b"b NaN\nc -0\nd +Inf\n", "text/plain")
    config = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
remote_write: [{{url: "http://{address}/api/v1/write", queue_config: {{max_samples_per_send: 300}}}}]
scrape_configs: [{{job_name: j, static_configs: [{{targets: ["{target}"], labels: {{k: "é"}}}}]}}]
"""

    async def run() -> tuple[list[Any], list[Any]]:
        db = MetricDb(RealFiles(tmp_path / "ours"), MetricSettings(), SystemClock())
        await db.start()
        listener = Listener(app(db, NetSettings(listen="127.0.0.1:0")), NetSettings(listen="127.0.0.1:0"))
        await listener.start()
        address = listener.address.removeprefix("http://")
        text = config.format(address=address, target=server.address)
        peer = await asyncio.to_thread(real_prometheus, text)
        job = [Matcher("job", "=", "j")]
        async with asyncio.timeout(40):
            while sum(len(part.times) * len(part.labels) for part in db.select(job, 0, 1 << 60)) < 4000:
                await asyncio.sleep(0.1)
        scraped = await asyncio.to_thread(peer.get, "/api/v1/query", query='{job="j"}[2m]')
        got: list[Any] = []
        for part in db.select(job, 0, 1 << 60):
            for labels, values in zip(part.labels.labels(), part.values, strict=True):
                got.append((labels, dict(zip(part.times.tolist(), values.tolist(), strict=True))))
        await listener.stop()
        await db.stop()
        return got, scraped["result"]

    got, want = asyncio.run(run())
    theirs = {tuple(sorted(one["metric"].items())): one["values"] for one in want}
    compared = 0
    for labels, samples in got:
        told = {round(time * 1000): float(value) for time, value in theirs[tuple(sorted(labels.items()))]}
        for time_ms, value in samples.items():
            if time_ms in told and not math.isnan(value):
                assert value == told[time_ms]
                compared += 1
    assert len(got) == len(theirs) == 708
    assert compared > 3000
