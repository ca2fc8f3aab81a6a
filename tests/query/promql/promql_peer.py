"""The same samples in a real Prometheus and in our store."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode

import cramjam
import numpy as np
import orjson
import pytest
from starlette.datastructures import Headers
from tests.doubles import SplitClock
from tests.peers import PEERS, RealPrometheus
from tests.system.remote_write import write_request

from watchkeeper.api.prometheus import routes
from watchkeeper.api.queries import queries_of
from watchkeeper.collect.remote_write import RemoteWrite
from watchkeeper.model.frame import ABSENT, NORMAL_NAN_BITS, STALE
from watchkeeper.net.routing import ANONYMOUS, Call
from watchkeeper.query.promql.engine import Engine
from watchkeeper.store.files import RealFiles
from watchkeeper.store.metrics.db import MetricDb
from watchkeeper.store.settings import MetricSettings

PROMETHEUS = PEERS / "prometheus"
BASE_MS = 1_767_225_600_000  # 2026-01-01
STEP_MS = 15_000
ROWS = 480
AFTER_MS = BASE_MS + ROWS * STEP_MS + 60_000  # a little after the data
NAN = np.uint64(NORMAL_NAN_BITS).view(np.float64)

Frame = tuple[str, np.ndarray, list[dict[str, str]], np.ndarray]


def frames() -> list[Frame]:
    """Make targets of several jobs: counters with resets, gauges, gaps, staleness, NaN and Inf, histograms."""
    chance = np.random.default_rng(20260101)
    out: list[Frame] = []
    for job in ("api", "db"):
        for number in range(3):
            times = BASE_MS + np.arange(ROWS) * STEP_MS + chance.integers(0, 40, ROWS) + number * 1000
            labels, rows = _target(chance, job, f"host{number}:80", number)
            out.append((f"{job}/{number}", times, labels, np.array(rows)))
    return out


def _target(
    chance: np.random.Generator, job: str, instance: str, number: int
) -> tuple[list[dict[str, str]], list[np.ndarray]]:
    own = {"job": job, "instance": instance}
    labels, rows = [], []

    def add(name: str, values: np.ndarray, **more: str) -> None:
        labels.append({"__name__": name, **own, **more})
        rows.append(np.asarray(values, np.float64))

    for code in ("200", "404", "500"):
        count = np.cumsum(chance.integers(0, 50, ROWS)).astype(float)
        if code == "500":
            count[200:] -= count[200]  # a restart
            count[330:] -= count[330]
        add("http_requests_total", count, code=code, path="/a" if number else "/b")
    add("temperature", np.cumsum(chance.normal(0, 1, ROWS)) + 20, room="kitchen")
    add("temperature", np.round(chance.normal(0, 3, ROWS), 1), room="cellar")
    add("up", (chance.random(ROWS) > 0.02).astype(float))
    add("memory_bytes", chance.integers(1, 1 << 40, ROWS).astype(float))
    odd = chance.normal(0, 1, ROWS)
    odd[50:55], odd[90], odd[120], odd[300:320] = NAN, np.inf, -np.inf, 0.0
    add("odd", odd)
    gappy = np.cumsum(chance.random(ROWS))
    gappy[chance.random(ROWS) < 0.3] = ABSENT
    gappy[100:140] = ABSENT
    gappy[100], gappy[250], gappy[251:290] = STALE, STALE, ABSENT
    add("gappy_total", gappy)
    late = np.full(ROWS, ABSENT)
    late[260 + number * 30 :] = 7.5 + number
    add("late", late, kind="x")
    bounds = ("0.1", "0.5", "1", "2.5", "+Inf")
    each = np.cumsum(chance.integers(0, 9, (ROWS, len(bounds))), axis=0)
    for at, bound in enumerate(bounds):
        add("latency_seconds_bucket", each[:, : at + 1].sum(axis=1), le=bound)
    add("latency_seconds_count", each.sum(axis=1))
    add("latency_seconds_sum", each.sum(axis=1) * 0.37)
    add("constant", np.full(ROWS, 3.25 * (number + 1)))
    add("build_info", np.ones(ROWS), version=f"1.{number}")
    return labels, rows


def write_body(made: Sequence[Frame], rows: slice) -> bytes:
    """Give a remote-write request with some rows of all frames."""
    absent = np.float64(ABSENT).view(np.uint64)
    parts = []
    for _, times, labels, values in made:
        for one, row in zip(labels, values[:, rows], strict=True):
            there = row.view(np.uint64) != absent
            samples = zip(times[rows][there].tolist(), row[there], strict=True)
            parts.append((one, list(samples)))
    return write_request(parts)


def write_bodies() -> list[bytes]:
    """Give the requests that both are sent, in order."""
    made = frames()
    return [write_body(made, slice(start, start + 40)) for start in range(0, ROWS, 40)]


@dataclass
class Prometheus:
    """A running peer."""

    port: int

    def request(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Any:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def get(self, path: str, **params: str) -> Any:
        _, body = self.request("GET", f"{path}?{urlencode(params)}")
        return orjson.loads(body)


@pytest.fixture(scope="session")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Start Prometheus with the samples in it."""
    if not PROMETHEUS.exists():
        pytest.skip(f"no Prometheus at {PROMETHEUS}")
    folder = tmp_path_factory.mktemp("prometheus")
    options = ("--web.enable-remote-write-receiver", "--log.level=warn", "--storage.tsdb.retention.time=100y")
    real = RealPrometheus(folder, "global: {}\n", *options, "--enable-feature=promql-experimental-functions")
    try:
        peer = Prometheus(real.port)
        headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
        for body in write_bodies():
            status, text = peer.request("POST", "/api/v1/write", body, headers)
            assert status < 300, text
        yield peer
    finally:
        real.stop()


async def _still_there() -> bool:
    return False


@dataclass
class Ours:
    """Our API over our store."""

    engine: Engine
    handlers: dict[str, Any]

    def get(self, path: str, **params: str) -> Any:
        pairs = list(params.items())
        call = Call("GET", path, {}, pairs, Headers({}), b"", ANONYMOUS, "", _still_there)
        return orjson.loads(asyncio.run(self.handlers[path](call)).body)


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Ours:
    """Remote-write the same requests into our store."""
    files = RealFiles(tmp_path_factory.mktemp("ours"))
    store = MetricDb(files, MetricSettings(), SplitClock(AFTER_MS, 1000.0))

    async def load() -> None:
        await store.start()
        remote_write = RemoteWrite(store)
        for body in write_bodies():
            received = await remote_write.receive(bytes(cramjam.snappy.decompress_raw(body)))
            assert not received.refused, received.complaint
        await store.stop()

    asyncio.run(load())
    engine = Engine(store)
    return Ours(engine, {route.path: route.handler for route in routes(queries_of(engine), store)})
