"""Rules beside the real Prometheus: the same rule file over the same series, CPU a round.

Both are loaded by remote write with the last quarter of an hour and evaluate the rules at a short interval; what they
use without rules (measured first) is taken off. Half of the rules record, half alert; a tenth of the alerts fire.

    python -m bench.bench_rules [--rules 200] [--series 10000] [--targets 20] [--interval 2] [--seconds 20]
"""

import argparse
import signal
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import orjson

from bench.bench_query import Server, bodies, prometheus, running, watchkeeper
from bench.bench_scrape import PEERS, cpu_of

_WHOLE_RUN_S = 300
_WARM_UP_S = 6
_PER_GROUP = 10


def rules(count: int, targets: int, interval_s: float) -> str:
    """Give a rule file: ten rules a group, of the kinds that rule collections are full of."""
    groups = []
    for first in range(0, count, _PER_GROUP):
        job = f'job="job{first // _PER_GROUP % 3}"'
        made: list[dict[str, Any]] = []
        where = f'instance="10.0.0.{first // _PER_GROUP % targets}:9100"'
        one = f"g{first}"
        for name, expr in (
            (f"{one}:requests:rate5m", f"sum by (job, code) (rate(http_requests_total{{{job}}}[5m]))"),
            (f"{one}:requests:instance", f"sum by (instance) (rate(http_requests_total{{{where}}}[5m]))"),
            (
                f"{one}:latency:p95",
                f"histogram_quantile(0.95, sum by (le) (rate(latency_seconds_bucket{{{job}}}[5m])))",
            ),
            (f"{one}:memory:sum", f"sum by (instance) (memory_bytes{{{job}}})"),
            (f"{one}:temperature:max", f"max_over_time(temperature{{{where}}}[5m])"),
        ):
            made.append({"record": name, "expr": expr})
        for name, expr, hold in (
            ("Errors", f'sum(rate(http_requests_total{{code="500",{where}}}[5m])) > {one}:requests:instance * 2', "5m"),
            ("Hot", f"temperature{{{where}}} > 30", "1m"),
            ("Slow", f"{one}:latency:p95 > 5", "5m"),
            ("Memory", f"sum by (instance) (memory_bytes{{{where}}}) < 0", "1m"),
            ("Silent", f"changes(http_requests_total{{{where}}}[5m]) == 0", "5m"),
        ):
            texts = {"summary": "{{ $labels.instance }} has {{ $value | humanize }}"}
            made.append({"alert": name, "expr": expr, "for": hold, "annotations": texts})
        groups.append({"name": one, "interval": f"{round(interval_s * 1000)}ms", "rules": made})
    return orjson.dumps({"groups": groups}).decode()


def _counted(server: Server, name: str) -> float:
    lines = server.ask("GET", "/metrics").decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


def used(server: Server, seconds: float) -> tuple[float, float]:
    """Give CPU seconds and rule evaluations in a while."""
    cpu, rounds = cpu_of(server.process.pid), _counted(server, "prometheus_rule_evaluations_total")
    time.sleep(seconds)
    return (
        cpu_of(server.process.pid) - cpu,
        _counted(server, "prometheus_rule_evaluations_total") - rounds,
    )


def with_rules(folder: Path, name: str) -> tuple[list[str], int, Path]:
    """Make a server's files; rules are added later, by a reload."""
    folder.mkdir()
    if name == "prometheus":
        command, port = prometheus(folder)
        config = folder / "prometheus.yml"
        command.append("--web.enable-lifecycle")
    else:
        command, port = watchkeeper(folder, None)
        config = folder / "config" / "prometheus.yml"
        (config.parent / "watchkeeper.yml").write_text("watch: {itself: false, host: false}\n")
    config.write_text("rule_files: ['*.rules.yml']\n")
    return command, port, config.parent


def run(options: argparse.Namespace) -> None:
    """Fill both, measure both idle, then with rules, in turn; print."""
    end_ms = int(time.time() * 1000)
    options.hours = 0.25
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers, folders = [], []
        for name in ("prometheus", "watchkeeper"):
            command, port, folder = with_rules(root / name, name)
            servers.append(stack.enter_context(running(name, command, port)))
            folders.append(folder)
        headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
        for body in bodies(options, end_ms - 900_000):
            for server in servers:
                server.ask("POST", "/api/v1/write", body, headers)
        time.sleep(_WARM_UP_S)
        idle = [used(server, 5)[0] / 5 for server in servers]
        costs = []
        for server, folder, base in zip(servers, folders, idle, strict=True):
            (folder / "bench.rules.yml").write_text(rules(options.rules, options.targets, options.interval))
            server.ask("POST", "/-/reload")
            time.sleep(_WARM_UP_S)
            cpu, evaluations = used(server, options.seconds)
            rounds = evaluations / options.rules
            costs.append((cpu - base * options.seconds) / max(rounds, 1e-9))
            failed = _counted(server, "prometheus_rule_evaluation_failures_total")
            missed = _counted(server, "prometheus_rule_group_iterations_missed_total")
            print(f"{server.name:12} {1000 * costs[-1]:8.1f} ms CPU a round, {rounds:.1f} rounds", end="")
            print(f" (idle {1000 * base:.0f} ms/s, {failed:g} failed, {missed:g} missed)")
            (folder / "bench.rules.yml").unlink()
            server.ask("POST", "/-/reload")
    print(f"{options.rules} rules over {options.series} series: ratio {costs[1] / costs[0]:.2f}, budget 0.7")


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rules", type=int, default=200)
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--targets", type=int, default=20)
    parser.add_argument("--interval", type=float, default=2)
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    assert (PEERS / "prometheus").exists(), f"no Prometheus in {PEERS}: run tools/peers"
    signal.alarm(_WHOLE_RUN_S)
    run(options)


if __name__ == "__main__":
    main()
