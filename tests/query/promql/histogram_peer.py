"""The same native histograms in a real Prometheus and in our engine."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import cramjam
import numpy as np
import pytest
from tests.doubles import SplitClock
from tests.peers import RealPrometheus
from tests.query.promql.promql_peer import PROMETHEUS, Ours, Prometheus

from watchkeeper.api.prometheus import routes
from watchkeeper.api.queries import queries_of
from watchkeeper.collect.remote_write import RemoteWrite
from watchkeeper.model.frame import STALE
from watchkeeper.model.histogram import CUSTOM_BUCKETS, Buckets, Hint, Histogram, buckets, to_spans
from watchkeeper.net.protobuf import double_field, field, number_field, zigzag
from watchkeeper.query.promql.engine import Engine
from watchkeeper.query.promql.notation import Sample
from watchkeeper.query.settings import QuerySettings
from watchkeeper.store.files import RealFiles
from watchkeeper.store.metrics.db import MetricDb
from watchkeeper.store.settings import MetricSettings

BASE_MS = 1_767_225_600_000  # 2026-01-01
STEP_MS = 15_000
ROWS = 160
END_S = (BASE_MS + ROWS * STEP_MS) / 1000

Series = dict[tuple[tuple[str, str], ...], list[tuple[int, Sample]]]


def series() -> Series:
    """Make counters with restarts, gauges, custom buckets, both kinds in turn, NaN observed, gaps and ends."""
    chance = np.random.default_rng(20260102)
    out: Series = {}

    def add(samples: list[Sample | None], **labels: str) -> None:
        jitter = int(chance.integers(0, 900))
        points = [(BASE_MS + at * STEP_MS + jitter, one) for at, one in enumerate(samples) if one is not None]
        out[tuple(sorted(labels.items()))] = points

    for number, (job, schema) in enumerate((("api", 0), ("api", 3), ("db", 1), ("db", -2))):
        grown = _grown(chance, schema, restarts=(50 + number, 120))
        own = {"job": job, "instance": f"host{number}:80"}
        add(list(grown), __name__="latency_seconds", **own)
        gappy = [None if at % 7 == 3 or 60 <= at < 90 else one for at, one in enumerate(grown)]
        add([float(STALE) if at == 130 else one for at, one in enumerate(gappy)], __name__="gappy_seconds", **own)
        each = _grown(chance, schema, restarts=range(ROWS))
        gauges = [replace(one, hint=Hint.GAUGE) for one in each]
        add([*gauges], __name__="queue_size", **own)
        add([(one if at // 12 % 2 else float(at)) for at, one in enumerate(grown)], __name__="changing", **own)
        add([(one if number % 2 else float(at)) for at, one in enumerate(grown)], __name__="either", **own)
        bounds = np.array([0.5, 1.0, 2.5, 5.0])
        custom = [_customized(one, bounds) for one in grown]
        add([*custom], __name__="custom_seconds", **own)
        add([(custom[at] if number == 1 else one) for at, one in enumerate(grown)], __name__="kinds", **own)
        add([(custom[at] if at % 40 > 30 else one) for at, one in enumerate(grown)], __name__="turning", **own)
        unknown = [replace(one, sum=np.nan, count=one.count * (1.25 if at > 80 else 1)) for at, one in enumerate(grown)]
        add([*unknown], __name__="unknown_seconds", **own)
        add([Histogram(0.0, 0.0, schema)] * ROWS, __name__="nothing", **own)
        add(list(np.cumsum(chance.integers(0, 9, ROWS)).astype(float)), __name__="requests_total", **own)
        add([float(number + 2)] * ROWS, __name__="factor", **own)
        if number < 2:
            for at, bound in enumerate(("0.5", "1", "+Inf")):
                add([float(row * (at + 1)) for row in range(ROWS)], __name__="either", le=bound, **own)
    return out


def _grown(chance: np.random.Generator, schema: int, restarts: "range | tuple[int, ...]") -> list[Histogram]:
    """Give histograms of a service that observes a few values between samples, and restarts now and then.

    It never starts from 0: until 3.5 Prometheus reaches back below 0 where it extrapolates histograms. No side is ever
    without observations: whether such buckets were once written decides how it takes the zero bucket.
    """
    index = np.arange(-2, 5)
    begin = np.full(2 * len(index) + 1, 1.0 if len(restarts) > ROWS // 2 else 30.0)
    counts, out = begin, []
    for row in range(ROWS):
        if row in restarts:
            counts = begin
        counts = counts + chance.integers(0, 4, len(counts)) * (chance.random(len(counts)) < 0.5)
        zero, above, below = counts[0], counts[1 : 1 + len(index)], counts[1 + len(index) :] * (schema == 1)
        total = float(zero + above.sum() + below.sum())
        out.append(
            Histogram(
                total, total * 0.75, schema, 0.001, float(zero), buckets(index, above), buckets(index, below)
            )
        )  # fmt: skip
    return out


def _customized(one: Histogram, bounds: np.ndarray) -> Histogram:
    """Give custom buckets with the same counts."""
    places = np.minimum(one.positive.index + 2, len(bounds))
    side = buckets(places, one.positive.counts)
    return Histogram(float(side.counts.sum()), one.sum, CUSTOM_BUCKETS, positive=side, bounds=bounds)


def _message(time_ms: int, one: Histogram) -> bytes:
    def side(spans_at: int, counts_at: int, found: Buckets) -> bytes:
        spans = b"".join(
            field(spans_at, number_field(1, zigzag(offset)) + number_field(2, length))
            for offset, length in to_spans(found)
        )
        return spans + (field(counts_at, found.counts.tobytes()) if len(found) else b"")

    parts = [
        double_field(2, one.count) + double_field(3, one.sum) + number_field(4, zigzag(one.schema)),
        double_field(5, one.zero_threshold) + double_field(7, one.zero_count),
        side(8, 10, one.negative) + side(11, 13, one.positive),
        number_field(14, int(one.hint)) + number_field(15, time_ms),
        field(16, one.bounds.tobytes()) if one.custom else b"",
    ]
    return b"".join(parts)


def write_body(made: Series, rows: slice) -> bytes:
    """Give a remote-write request with some rows of all series."""
    message = b""
    for key, points in made.items():
        labels = b"".join(field(1, field(1, name.encode()) + field(2, text.encode())) for name, text in key)
        samples = b""
        for at, one in points[rows]:
            if isinstance(one, Histogram):
                samples += field(4, _message(at, one))
            else:
                samples += field(2, double_field(1, one) + number_field(2, at))
        message += field(1, labels + samples)
    return bytes(cramjam.snappy.compress_raw(message))


@pytest.fixture(scope="session")
def prometheus_histograms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Start Prometheus with the histograms in it."""
    if not PROMETHEUS.exists():
        pytest.skip(f"no Prometheus at {PROMETHEUS}")
    options = ("--web.enable-remote-write-receiver", "--log.level=warn", "--storage.tsdb.retention.time=100y")
    features = "--enable-feature=native-histograms,promql-experimental-functions,promql-per-step-stats"
    real = RealPrometheus(tmp_path_factory.mktemp("prometheus-histograms"), "global: {}\n", *options, features)
    try:
        peer = Prometheus(real.port)
        headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
        made = series()
        for row in range(ROWS):  # a request is not stored in the order of time where floats and histograms take turns
            status, text = peer.request("POST", "/api/v1/write", write_body(made, slice(row, row + 1)), headers)
            assert status < 300, text
        yield peer
    finally:
        real.stop()


@pytest.fixture(scope="session")
def our_histograms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ours]:
    """Write the same into our store, a part of it into blocks."""
    clock = SplitClock(BASE_MS + ROWS * STEP_MS)
    settings = MetricSettings(block_ms=20 * 60_000)
    reader = MetricDb(RealFiles(tmp_path_factory.mktemp("our-histograms")), settings, clock)

    async def fill() -> None:
        await reader.start()
        remote, made = RemoteWrite(reader), series()
        for row in range(ROWS):
            received = await remote.receive(bytes(cramjam.snappy.decompress_raw(write_body(made, slice(row, row + 1)))))
            assert not received.refused, received
        await reader.flush(BASE_MS + ROWS * STEP_MS // 2)

    with asyncio.Runner() as runner:
        runner.run(fill())
        engine = Engine(reader, QuerySettings(experimental_functions=True))
        yield Ours(engine, {route.path: route.handler for route in routes(queries_of(engine), reader)})
        runner.run(reader.stop())
