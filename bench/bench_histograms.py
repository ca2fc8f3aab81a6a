"""Range queries over native histograms: our engine and its JSON in this process, Prometheus over HTTP.

python -m bench.bench_histograms [--series 200] [--rows 480] [--times 3]
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
from tests.peers import RealPrometheus
from tests.query.promql.histogram_peer import BASE_MS, STEP_MS, Series, write_body
from tests.query.promql.promql_peer import Prometheus

from watchkeeper.api.matrix_json import data_of
from watchkeeper.model.histogram import Histogram, buckets
from watchkeeper.query.promql.engine import Engine
from watchkeeper.query.promql.memory import MemoryReader
from watchkeeper.query.promql.notation import as_stored

QUERIES = (
    "rate(h[5m])",
    "sum by (job) (h)",
    "histogram_quantile(0.9, sum by (job) (rate(h[5m])))",
    "histogram_quantile(0.9, h)",
    "sum(histogram_count(rate(h[5m])))",
)
_BUCKETS = np.arange(-5, 15)
_BODY_ROWS = 60
_HEADERS = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}


def samples(series: int, rows: int) -> Series:
    """Make counters of twenty buckets each."""
    chance = np.random.default_rng(1)
    made: Series = {}
    for number in range(series):
        counts = 100.0 + np.cumsum(chance.integers(0, 5, (rows, len(_BUCKETS))), axis=0)
        key = (("__name__", "h"), ("instance", str(number)), ("job", f"j{number % 5}"))
        made[key] = [
            (BASE_MS + at * STEP_MS, Histogram(row.sum(), row.sum(), 3, 0.001, 0.0, buckets(_BUCKETS, row)))
            for at, row in enumerate(counts)
        ]
    return made


def run(series: int, rows: int, times: int) -> None:
    """Ask both in turn, and print the best of each."""
    made = samples(series, rows)
    reader = MemoryReader()
    for key, points in made.items():
        stored = as_stored([one for _, one in points])
        reader.add(dict(key), list(zip((at for at, _ in points), stored, strict=True)))
    engine = Engine(reader)
    flags = ("--web.enable-remote-write-receiver", "--log.level=warn", "--storage.tsdb.retention.time=100y")
    with tempfile.TemporaryDirectory() as folder:
        real = RealPrometheus(Path(folder), "global: {}\n", *flags, "--enable-feature=native-histograms")
        try:
            peer = Prometheus(real.port)
            for start in range(0, rows, _BODY_ROWS):
                body = write_body(made, slice(start, start + _BODY_ROWS))
                assert peer.request("POST", "/api/v1/write", body, _HEADERS)[0] < 300
            first, last = BASE_MS + 600_000, BASE_MS + rows * STEP_MS - 100_000
            print(f"{series} series x {rows} rows, {(last - first) // 30_000 + 1} steps")
            for expr in QUERIES:
                asked = {"query": expr, "start": str(first / 1000), "end": str(last / 1000), "step": "30"}
                path = f"/api/v1/query_range?{urlencode(asked)}"
                ours = _best(lambda expr=expr: data_of(engine.range(expr, first, last, 30_000)), times)  # type: ignore[misc]
                theirs = _best(lambda path=path: peer.request("GET", path), times)  # type: ignore[misc]
                print(f"{expr:55} ours {ours:.3f} s, prometheus {theirs:.3f} s: {ours / theirs:.2f} x")
        finally:
            real.stop()


def _best(ask: Callable[[], object], times: int) -> float:
    took = []
    for _ in range(times):
        began_s = time.perf_counter()
        ask()
        took.append(time.perf_counter() - began_s)
    return min(took)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=200)
    parser.add_argument("--rows", type=int, default=480)
    parser.add_argument("--times", type=int, default=3)
    options = parser.parse_args()
    run(options.series, options.rows, options.times)
