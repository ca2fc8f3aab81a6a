"""POST /api/v1/read: the real Prometheus reads from us; what it then answers is what we answer."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import cramjam
import google_crc32c
import numpy as np
import orjson
import pytest
from tests.collect.conftest import real_prometheus  # noqa: F401 # fixture
from tests.doubles import StillClock
from tests.net.judges.asgi import Answer, Client
from tests.query.promql.histogram_peer import BASE_MS, write_body
from tests.query.promql.histogram_peer import ROWS as HISTOGRAM_ROWS
from tests.query.promql.histogram_peer import series as histogram_series
from tests.store.simfiles import SimFiles

from watchkeeper.api import prometheus, remote_read
from watchkeeper.api.queries import queries_of
from watchkeeper.api.remote_read import RemoteReadSettings
from watchkeeper.collect.remote_write import RemoteWrite
from watchkeeper.model.clock import SystemClock
from watchkeeper.model.frame import ABSENT, STALE, Row
from watchkeeper.net.app import build_app
from watchkeeper.net.auth import OpenDoor
from watchkeeper.net.histogram_chunk import read_chunk
from watchkeeper.net.listener import Listener
from watchkeeper.net.protobuf import BYTES, field, fields, number_field, read_varint
from watchkeeper.net.settings import NetSettings
from watchkeeper.net.xor import decode
from watchkeeper.query.promql.engine import Engine
from watchkeeper.query.promql.memory import MemoryReader
from watchkeeper.store.files import RealFiles
from watchkeeper.store.metrics.db import MetricDb
from watchkeeper.store.settings import MetricSettings

STEP_MS, ROWS = 15_000, 700
STREAMED_KIND = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"


def request(*matchers: tuple[int, str, str], end_ms: int, start_ms: int = 0, kinds: bytes = b"") -> bytes:
    told = b"".join(
        field(3, number_field(1, kind) + field(2, name.encode()) + field(3, text.encode()))
        for kind, name, text in matchers
    )
    query = number_field(1, start_ms) + number_field(2, end_ms) + told
    message = field(1, query) + (field(2, kinds) if kinds else b"")
    return bytes(cramjam.snappy.compress_raw(message))


async def fill(db: MetricDb, end_ms: int) -> None:
    """Three targets with counters, gauges, gaps and ends."""
    chance = np.random.default_rng(7)
    for target in range(3):
        labels = [{"__name__": f"m{at % 4}_total", "at": str(at), "instance": f"é{target}"} for at in range(9)]
        layout = db.layout(f"write/j/{target}", labels)
        values = np.cumsum(chance.integers(0, 9, (ROWS, 9)), axis=0) / 4.0
        values[chance.random((ROWS, 9)) < 0.02] = ABSENT
        values[chance.random((ROWS, 9)) < 0.01] = STALE
        for row in range(ROWS):
            db.append([Row(layout, end_ms - (ROWS - row) * STEP_MS + target, values[row])])
    await db.commit()


async def answered(body: bytes, settings: RemoteReadSettings | None = None, **more: Any) -> Answer:
    db = MetricDb(SimFiles(), MetricSettings(), StillClock())
    await db.start()
    await fill(db, StillClock().ms)
    app = build_app(remote_read.routes(db, settings, **more), OpenDoor("127.0.0.1:9090"), NetSettings())
    kind = {"content_type": "application/x-protobuf", "content_encoding": "snappy"}
    answer = await Client(app).ask("POST", "/api/v1/read", body=body, **kind)
    await db.stop()
    return answer


def parts(message: bytes, number: int) -> list[bytes]:
    return [
        message[start:stop]
        for at, kind, start, stop in fields(message, 0, len(message))
        if (at, kind) == (number, BYTES)
    ]


def labels_of(series: bytes) -> dict[str, str]:
    return {parts(one, 1)[0].decode(): parts(one, 2)[0].decode() for one in parts(series, 1)}


def frames(stream: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(stream):
        length, at = read_varint(stream, at, len(stream))
        message = stream[at + 4 : at + 4 + length]
        assert int.from_bytes(stream[at : at + 4], "big") == google_crc32c.value(message)
        found.append(message)
        at += 4 + length
    return found


def test_a_stream_has_the_samples_of_the_plain_answer() -> None:
    want = ((0, "instance", "é1"), (2, "__name__", "m[02].*"))
    end_ms = StillClock().ms
    plain = asyncio.run(answered(request(*want, end_ms=end_ms)))
    assert (plain.status, plain.headers["content-encoding"]) == (200, "snappy")
    stream = asyncio.run(
        answered(request(*want, end_ms=end_ms, kinds=b"\x01\x00"), RemoteReadSettings(frame_bytes_max=1024))
    )
    assert stream.headers["content-type"] == STREAMED_KIND
    (result,) = parts(bytes(cramjam.snappy.decompress_raw(plain.body)), 1)
    sampled = {tuple(labels_of(one).items()): len(parts(one, 2)) for one in parts(result, 1)}
    chunked: dict[Any, int] = {}
    told = frames(stream.body)
    for message in told:
        (series,) = parts(message, 1)
        counts, _, _ = decode([parts(chunk, 4)[0] for chunk in parts(series, 2)])
        assert counts.max() <= 120
        key = tuple(labels_of(series).items())
        chunked[key] = chunked.get(key, 0) + int(counts.sum())
    assert len(sampled) == 5
    assert sampled == chunked
    assert list(sampled) == sorted(sampled) == list(chunked)
    assert len(told) > len(sampled)


def test_native_histograms_are_among_the_samples_and_in_the_stream() -> None:
    made = histogram_series()
    key, points = next((key, points) for key, points in made.items() if dict(key)["__name__"] == "changing")
    reader = MemoryReader()
    reader.add(dict(key), points)
    app = build_app(remote_read.routes(reader), OpenDoor("127.0.0.1:9090"), NetSettings())
    kind = {"content_type": "application/x-protobuf", "content_encoding": "snappy"}

    def ask(kinds: bytes) -> bytes:
        body = request((0, "__name__", "changing"), end_ms=points[-1][0], kinds=kinds)
        return asyncio.run(Client(app).ask("POST", "/api/v1/read", body=body, **kind)).body

    (result,) = parts(bytes(cramjam.snappy.decompress_raw(ask(b""))), 1)
    sent = bytes(cramjam.snappy.decompress_raw(write_body({key: points}, slice(None))))
    assert sorted(parts(parts(result, 1)[0], 4)) == sorted(parts(parts(sent, 1)[0], 4))
    floats = [one for _, one in points if isinstance(one, float)]
    assert len(parts(parts(result, 1)[0], 2)) == len(floats)
    chunks = [chunk for message in frames(ask(bytes([1]))) for chunk in parts(parts(message, 1)[0], 2)]
    told: list[tuple[int, Any]] = []
    for chunk in chunks:
        data = parts(chunk, 4)[0]
        if b"\x18\x03" in chunk[: -len(data)]:  # its kind: histograms of floats
            told += [(at, one) for at, one in read_chunk(data, floats=True) if one is not None]
        else:
            told += zip(*(part.tolist() for part in decode([data])[1:]), strict=True)
    assert told == points  # in order, nothing twice
    assert any(isinstance(one, float) for _, one in told) and any(not isinstance(one, float) for _, one in told)


def test_external_labels_are_told_and_taken_for_matched() -> None:
    body = request((0, "region", "eu"), (0, "at", "3"), end_ms=StillClock().ms)
    answer = asyncio.run(answered(body, external_labels=lambda: {"region": "eu"}))
    (result,) = parts(bytes(cramjam.snappy.decompress_raw(answer.body)), 1)
    assert [labels_of(one)["region"] for one in parts(result, 1)] == ["eu"] * 3


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (request((2, "a", "(("), end_ms=1), b"cannot compile regular expression"),
        (request((7, "a", "b"), end_ms=1), b"invalid matcher type 7"),
        (request((0, "a", "b"), end_ms=1, kinds=b"\x09"), b"does not support any of the requested response types"),
        (bytes(cramjam.snappy.compress_raw(b"\x0a\x05")), b"want prometheus.ReadRequest"),
        (request((1, "__name__", ""), end_ms=StillClock().ms), b"exceeded sample limit (1000)"),
    ],
)
def test_what_cannot_be_answered_is_refused(body: bytes, text: bytes) -> None:
    answer = asyncio.run(answered(body, RemoteReadSettings(samples_max=1000)))
    assert answer.status == 400
    assert text in answer.body


QUERIES = (
    "sum by (instance) (rate(m1_total[5m]))",
    'm2_total{at="2"}',
    "count_over_time(m0_total[10m])",
    'max_over_time(m3_total{instance!="é0"}[7m]) - m3_total offset 3m',
    "absent(nothing)",
)


OF_HISTOGRAMS = (
    *("latency_seconds", "gappy_seconds", "queue_size", "changing", "custom_seconds", "turning", "unknown_seconds"),
    "histogram_quantile(0.9, sum by (job) (rate(latency_seconds[5m])))",
    "rate(custom_seconds[5m])",
    "sum(histogram_count(queue_size))",
)


@pytest.mark.peer
@pytest.mark.parametrize("what", ["floats", "histograms"])
def test_the_real_prometheus_reads_from_us_and_answers_the_same(
    what: str,
    real_prometheus: Callable[..., Any],  # noqa: F811 # the fixture
    tmp_path: Path,
) -> None:
    settings = NetSettings(listen="127.0.0.1:0")
    native = what == "histograms"
    end_ms = BASE_MS + HISTOGRAM_ROWS * STEP_MS if native else SystemClock().now_ms() - 60_000
    kept = MetricSettings(retention_ms=10**12)

    async def run() -> list[tuple[str, Any, Any]]:
        db = MetricDb(RealFiles(tmp_path / "ours"), kept, SystemClock())
        await db.start()
        await (fill_histograms(db) if native else fill(db, end_ms))
        routes = [*prometheus.routes(queries_of(Engine(db)), db), *remote_read.routes(db)]
        app = build_app(routes, OpenDoor("127.0.0.1:9090"), settings)
        listener = Listener(app, settings)
        await listener.start()
        text = f"global: {{}}\nremote_read: [{{url: 'http://{listener.address}/api/v1/read', read_recent: true}}]\n"
        flags = "--storage.tsdb.retention.time=100y", "--enable-feature=native-histograms"
        peer = await asyncio.to_thread(real_prometheus, text, *flags)
        compared = []
        for query in OF_HISTOGRAMS if native else QUERIES:
            span = {"query": query, "start": str(end_ms / 1000 - 9000), "end": str(end_ms / 1000), "step": "37"}
            status, theirs = await asyncio.to_thread(peer.ask, "/api/v1/query_range", **span)
            ours = await Client(app).ask("GET", f"/api/v1/query_range?{urlencode(span)}")
            assert status == ours.status == 200, (query, theirs)
            compared.append((query, orjson.loads(ours.body)["data"], orjson.loads(theirs)["data"]))
        await listener.stop()
        await db.stop()
        return compared

    for query, ours, theirs in asyncio.run(run()):
        assert len(theirs["result"]) >= 1, query
        assert rounded(ours) == rounded(theirs), query


async def fill_histograms(db: MetricDb) -> None:
    """Store what tests of native histograms store, by remote write."""
    remote, made = RemoteWrite(db), histogram_series()
    for row in range(HISTOGRAM_ROWS):
        received = await remote.receive(bytes(cramjam.snappy.decompress_raw(write_body(made, slice(row, row + 1)))))
        assert not received.refused


def rounded(value: Any) -> Any:
    """Leave out what the order of additions may change."""
    if isinstance(value, list):
        return [rounded(one) for one in value]
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    try:
        return f"{float(value):.11g}"
    except (TypeError, ValueError):
        return value
