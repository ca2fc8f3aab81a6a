"""What downsampling tiers gain: bytes, and time of long ranges, from the samples and from the tiers in turn.

Counters with a restart now and then and gauges, as exporters have them, in one store in this process; blocks of a day,
compacted.

    python -m bench.bench_tiers [--days 30] [--series 200] [--interval 15]
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import structlog

from watchkeeper.model.clock import SystemClock
from watchkeeper.model.frame import FrameSlice, Row
from watchkeeper.model.labels import LabelTable
from watchkeeper.query.promql.engine import Engine
from watchkeeper.query.settings import QuerySettings
from watchkeeper.store.files import RealFiles
from watchkeeper.store.metrics.db import MetricDb
from watchkeeper.store.settings import MetricSettings, TierSettings

_DAY_MS, _HOUR_MS = 86_400_000, 3_600_000
_ROUNDS = 5
_QUERIES = (
    ("sum(rate(requests_total[1h]))", 1),
    ("sum(rate(requests_total[6h]))", 6),
    ("avg_over_time(load[6h])", 6),
    ("max_over_time(load[1d])", 24),
    ("load", 1),
)


async def fill(db: MetricDb, days: int, series: int, interval_ms: int, end_ms: int) -> int:
    """Store samples; gives how many."""
    chance = np.random.default_rng(1)
    half = series // 2
    labels = [{"__name__": "requests_total", "job": "api", "instance": str(at)} for at in range(half)]
    labels += [{"__name__": "load", "job": "api", "instance": str(at)} for at in range(series - half)]
    table, start = LabelTable.from_labels(labels, db.symbols), np.zeros(half)
    rows = _DAY_MS // interval_ms
    for day in range(days):
        times = end_ms - (days - day) * _DAY_MS + 1000 + np.arange(rows) * interval_ms + chance.integers(0, 3, rows)
        counters = np.cumsum(chance.poisson(20, (half, rows)), axis=1) + start[:, None]
        start = np.where(chance.random(half) < 0.05, 0.0, counters[:, -1])
        walk = np.cumsum(chance.normal(0, 0.02, (series - half, rows)), axis=1)
        values = np.concatenate([counters, np.round(np.abs(2 + walk), 2)])
        await db.write_block([("scrape/api", FrameSlice(table, times, np.ascontiguousarray(values), gaps=False))])
    return days * rows * series


def median_s(engine: Engine, expr: str, start_ms: int, end_ms: int, step_ms: int) -> float:
    """Run a query some times, and give the median of its seconds."""
    took = []
    for _ in range(_ROUNDS):
        began_s = time.perf_counter()
        engine.range(expr, start_ms, end_ms, step_ms)
        took.append(time.perf_counter() - began_s)
    return statistics.median(took)


async def measure(days: int, series: int, interval_ms: int, folder: Path) -> None:
    """Print bytes and times."""
    tiers = tuple(TierSettings(every=every, after="1d", keep="5y") for every in ("5m", "1h"))
    settings = MetricSettings(retention_ms=(days + 10) * _DAY_MS, downsample=tiers, compaction_share=1.0, scrub_ms=0)
    clock = SystemClock()
    db = MetricDb(RealFiles(folder), settings, clock)
    await db.start()
    end_ms = clock.now_ms() // _DAY_MS * _DAY_MS
    samples = await fill(db, days, series, interval_ms, end_ms)
    db.append([Row(db.layout("now", [{"__name__": "up"}]), end_ms + 1, np.ones(1))])
    await db.flush(end_ms + 2)
    began_s = time.process_time()
    await db.keep_up()
    print(f"{samples:,} samples; thinned and compacted in {time.process_time() - began_s:.1f} s of CPU")
    sizes = {"samples": sum(block.size_bytes for block in db.block_list())}
    sizes |= {tier.every: tier.size_bytes for tier in db.tier_list()}
    for name, size in sizes.items():
        print(f"{name:<8} {size / 1e6:9.2f} MB  {size / sizes['samples']:8.4f} of the samples' bytes")
    limits = QuerySettings(max_samples=1 << 31, memory_bytes_max=4 << 30)
    plain, thinned = Engine(db, limits), Engine(db, limits, thinned=db.thinning)
    print(f"{'':<32} {'step':>5} {'samples':>10} {'tiers':>9} {'ratio':>7}")
    for expr, hours in _QUERIES:
        span = (end_ms - (days - 1) * _DAY_MS, end_ms, hours * _HOUR_MS)
        slow, fast = median_s(plain, expr, *span), median_s(thinned, expr, *span)
        print(f"{expr:<32} {hours:>4}h {slow * 1000:>7.1f} ms {fast * 1000:>6.1f} ms {slow / fast:>6.1f}x")
    await db.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--series", type=int, default=200)
    parser.add_argument("--interval", type=int, default=15, help="seconds")
    args = parser.parse_args()
    structlog.configure(processors=[lambda *_: (_ for _ in ()).throw(structlog.DropEvent)])
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(args.days, args.series, args.interval * 1000, Path(folder)))


if __name__ == "__main__":
    main()
