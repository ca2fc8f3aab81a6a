"""The time machine over a month: rules, `for`, routes, groups and inhibition over stored history.

A store with blocks of so many days is written first; then 100 rules (60 alerts, 40 recordings that alerts read) are
replayed over all of it. No peer does this; the budget is wall time.

    python -m bench.bench_replay [--days 30] [--series 10000] [--rules 100] [--interval 60]
"""

import argparse
import asyncio
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from watchkeeper.app.replay import Plan, replay
from watchkeeper.model.clock import SystemClock
from watchkeeper.model.frame import FrameSlice
from watchkeeper.model.labels import LabelTable
from watchkeeper.notify.settings import read_config
from watchkeeper.rules.files import RuleFile, parse_rules
from watchkeeper.store.files import RealFiles
from watchkeeper.store.metrics.db import MetricDb
from watchkeeper.store.settings import MetricSettings

_DAY_MS, _PER_TARGET = 86_400_000, 100
ROUTES = """
route: {receiver: team, group_by: [alertname, job], routes: [{matchers: [severity="page"], receiver: pager}]}
inhibit_rules: [{source_matchers: [severity="page"], target_matchers: [severity="mail"], equal: [instance]}]
receivers: [{name: team, inbox_configs: [{}]}, {name: pager, inbox_configs: [{}]}]
"""


def rules(count: int, targets: int) -> RuleFile:
    """Give rules of five kinds that read all series together, each about as many as the others."""
    made = []
    for number in range(count):
        job = f'job="j{number * targets // count}"'
        recorded = f"rec:{number // 5}"
        made.append(
            (
                f"{{record: 'rec:{number // 5}', expr: 'sum by (job, instance) (rate(requests_total{{{job}}}[5m]))'}}",
                f"{{alert: A{number}, expr: '{recorded} > 390', for: 5m, labels: {{severity: mail}}}}",
                f"{{record: 'avg:{number}', expr: 'avg by (job, instance) (load{{{job}}})'}}",
                f"{{alert: A{number}, expr: 'max_over_time(load{{{job}}}[10m]) > 0.9997', for: 10m}}",
                f"{{alert: A{number}, expr: 'load{{{job}}} > 0.999', for: 2m, labels: {{severity: page}}}}",
            )[number % 5]
        )
    return parse_rules(f"groups: [{{name: g, interval: 1m, rules: [{', '.join(made)}]}}]", "bench.yml")


async def fill(store: MetricDb, options: argparse.Namespace, end_ms: int) -> int:
    """Write blocks, a day at a time: half counters, half gauges."""
    spread, targets, samples = np.random.default_rng(1), options.series // _PER_TARGET, 0
    steps = _DAY_MS // (options.interval * 1000)
    tables = []
    for target in range(targets):
        half = _PER_TARGET // 2
        labels = [
            {"__name__": name, "job": f"j{target}", "instance": f"i{target}", "n": str(number)}
            for name in ("requests_total", "load")
            for number in range(half)
        ]
        tables.append(LabelTable.from_labels(labels, store.symbols))
    level = np.zeros((targets, _PER_TARGET // 2))
    for day in range(options.days):
        begin_ms = end_ms - (options.days - day) * _DAY_MS
        times = begin_ms + np.arange(steps, dtype=np.int64) * options.interval * 1000
        frames = []
        for target in range(targets):
            grown = level[target][:, None] + np.cumsum(spread.integers(0, 900, (_PER_TARGET // 2, steps)), axis=1)
            level[target] = grown[:, -1]
            load = np.round(spread.random((_PER_TARGET // 2, steps)), 4)
            frames.append((f"t{target}", FrameSlice(tables[target], times, np.vstack([grown, load]), gaps=False)))
        samples += await store.write_block(frames)
    return samples


async def run(options: argparse.Namespace) -> float:
    """Fill a store, replay over it, print; gives the seconds that the replay took."""
    with tempfile.TemporaryDirectory() as folder:
        store = MetricDb(RealFiles(Path(folder)), MetricSettings(retention_ms=10 * 365 * _DAY_MS), SystemClock())
        await store.start()
        try:
            end_ms = time.time_ns() // 1_000_000 // _DAY_MS * _DAY_MS
            samples = await fill(store, options, end_ms)
            tried = Plan((rules(options.rules, options.series // _PER_TARGET),), read_config(ROUTES, "routes"))
            began, used = time.perf_counter(), time.process_time()
            done = await asyncio.to_thread(replay, store, tried, end_ms - options.days * _DAY_MS, end_ms - 1)
            took, cpu = time.perf_counter() - began, time.process_time() - used
        finally:
            await store.stop()
    assert not done.history.errors, done.history.errors
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{samples:,} samples of {options.series:,} series over {options.days} days, {options.rules} rules")
    print(f"{done.history.evaluations:,} evaluations, {len(done.alerts):,} firings, {len(done.rehearsed.told):,} told")
    print(f"replayed in {took:.1f} s ({cpu:.1f} s CPU), {peak} MiB at most; budget 60 s")
    return took


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--rules", type=int, default=100)
    parser.add_argument("--interval", type=int, default=60, help="seconds between samples")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
