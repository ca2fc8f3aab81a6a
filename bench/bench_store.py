"""What the metrics store costs: append CPU, bytes in memory and in the log, select, replay.

    python bench/bench_store.py [--targets 50] [--series 500] [--rows 480]

Values are those of a node exporter in kind: constants, integer counters (idle and busy), histogram buckets, seconds
with two decimals, byte gauges in pages, ratios with noise.
"""

import argparse
import asyncio
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from watchkeeper.model.clock import SystemClock
from watchkeeper.model.frame import Floats, Row
from watchkeeper.model.matchers import Matcher
from watchkeeper.store.files import RealFiles
from watchkeeper.store.metrics.db import MetricDb
from watchkeeper.store.settings import MetricSettings

STEP_MS = 15_000


def rows_of_target(series: int, rows: int, rng: np.random.Generator) -> Floats:
    """Give float64[rows, series] that move like an exporter's."""
    out = np.empty((series, rows))
    for at in range(series):
        kind = at % 20
        if kind < 6:
            out[at] = rng.choice([0.0, 1.0, 4096.0, 1.7e9 + rng.integers(1_000_000) / 1000])
        elif kind < 9:
            out[at] = rng.integers(1_000_000) + np.cumsum(rng.random(rows) < 0.02)
        elif kind < 12:
            out[at] = rng.integers(1_000_000_000) + np.cumsum(rng.poisson(rng.uniform(1, 2000), rows))
        elif kind < 15:
            out[at] = rng.integers(100_000) + np.cumsum(rng.poisson(rng.uniform(0.2, 30), rows))
        elif kind < 17:
            out[at] = np.round(rng.uniform(0, 1e5) + np.cumsum(rng.uniform(0, 0.5, rows)), 2)
        elif kind < 19:
            out[at] = 4096.0 * (rng.integers(1_000_000) + np.cumsum(rng.integers(-500, 500, rows)))
        else:
            out[at] = rng.random(rows) * rng.uniform(0.1, 100)
    return np.ascontiguousarray(out.T)


def labels(target: int, series: int) -> list[dict[str, str]]:
    return [
        {
            "__name__": f"node_metric_{at // 8}_total",
            "device": f"disk{at % 8}",
            "mode": f"mode{at % 5}",
            "instance": f"10.0.{target // 250}.{target % 250}:9100",
            "job": "node",
        }
        for at in range(series)
    ]


def rss_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


async def run(targets: int, series: int, rows: int) -> None:
    rng = np.random.default_rng(7)
    kinds = [rows_of_target(series, rows, rng) for _ in range(min(4, targets))]
    directory = tempfile.TemporaryDirectory()
    files = RealFiles(directory.name)
    before_mb = rss_mb()
    db = MetricDb(files, MetricSettings(), SystemClock())
    await db.start()
    began = time.process_time()
    layouts = [db.layout(f"scrape/node/{target}", labels(target, series)) for target in range(targets)]
    print(f"layouts: {(time.process_time() - began) / targets / series * 1e6:.2f} µs a series")
    start_ms = SystemClock().now_ms() - rows * STEP_MS
    total, worst = 0.0, 0.0
    for at in range(rows):
        for target, layout in enumerate(layouts):
            row = Row(layout, start_ms + at * STEP_MS + target * 7, kinds[target % len(kinds)][at], whole=True)
            began = time.process_time()
            db.append([row])
            took = time.process_time() - began
            total, worst = total + took, max(worst, took)
        if at % 4 == 0:
            await db.commit()
    await db.commit()
    samples = targets * series * rows
    short = db.stats()["memory_bytes"]
    began = time.process_time()
    await db.keep_up()
    merging = time.process_time() - began
    stats = db.stats()
    print(f"append: {total / samples * 1e6:.3f} µs CPU a sample; slowest append {worst * 1e3:.1f} ms")
    print(f"log: {stats['bytes'] / samples:.2f} B a sample; memory: {stats['memory_bytes'] / samples:.2f} B a sample")
    print(f"merging: {merging / samples * 1e6:.3f} µs CPU a sample; memory before: {short / samples:.2f} B a sample")
    grown = rss_mb() - before_mb
    hours, active = rows * STEP_MS / 3.6e6, targets * series
    print(f"resident: +{grown:.0f} MB = {grown * 1e6 / active:.0f} B a series ({active} series, {hours:.1f} h)")
    for name, matchers in (
        ("one metric", [Matcher("__name__", "=", "node_metric_30_total")]),
        ("everything", [Matcher("job", "=", "node")]),
    ):
        for span in (300_000, rows * STEP_MS):
            if name == "everything" and span > 300_000 and samples > 20_000_000:
                continue
            now = start_ms + rows * STEP_MS
            began = time.perf_counter()
            found = db.select(matchers, now - span, now)
            took = time.perf_counter() - began
            count = sum(part.values.size for part in found)
            speed = f"{took * 1e3:.1f} ms, {count / took / 1e6:.1f} M samples/s"
            print(f"select {name}, {span // 60_000} min: {speed}, {len(found)} frames")
    await db.stop()
    print(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    again = MetricDb(files, MetricSettings(), SystemClock())
    began = time.perf_counter()
    await again.start()
    took = time.perf_counter() - began
    print(f"replay: {took:.2f} s, {samples / took / 1e6:.1f} M samples/s")
    await again.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--targets", type=int, default=50)
    parser.add_argument("--series", type=int, default=500)
    parser.add_argument("--rows", type=int, default=480)
    given = parser.parse_args()
    asyncio.run(run(given.targets, given.series, given.rows))
