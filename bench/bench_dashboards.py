"""Queries of real dashboards and rule sets beside the real Prometheus and VictoriaMetrics, in one run, over HTTP.

Thirty queries of node-exporter-full, the Kubernetes mixins and SLO burn rates, over the metrics that they name: 1,000
and 10,000 series over a day, and 100 over a month with burn rates of days and weeks. Each is asked as a range and at
one moment ("cold": nothing kept, the first asking), then again ("again"), and then, after one more scrape has come in,
as a dashboard's refresh does: the same range moved on ("refreshed"). Wall times; geometric means of their ratios, and
CPU of the process for all queries.

    python -m bench.bench_dashboards [--size 1k|10k|month ...] [--interval 60] [--each]
"""

import argparse
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import orjson

from bench.bench_query import Server, free_port, mean, prometheus, running, watchkeeper
from bench.bench_query import request_of as request
from bench.bench_scrape import PEERS, cpu_of
from watchkeeper.model.frame import Floats, Times

_WHOLE_RUN_S = 590
_ROWS_A_BODY = 60
_HEADERS = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
_MODES = ("user", "system", "iowait", "idle", "nice", "irq", "softirq", "steal")
_LE = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf")
QUERIES = (
    # node-exporter-full
    '100 * (1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[5m])))',
    'sum by (mode) (rate(node_cpu_seconds_total{instance="host1"}[5m]))',
    'sum(irate(node_cpu_seconds_total{mode="system"}[5m])) / scalar(count(count(node_cpu_seconds_total) by (cpu)))',
    'node_memory_MemTotal_bytes{instance="host1"} - node_memory_MemAvailable_bytes{instance="host1"}',
    "(1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes) * 100",
    'rate(node_network_receive_bytes_total{instance="host1"}[5m]) * 8',
    "sum by (instance) (rate(node_network_transmit_bytes_total[5m]) * 8)",
    'irate(node_disk_reads_completed_total{instance="host1"}[5m])',
    '100 - node_filesystem_avail_bytes{fstype!="rootfs"} * 100 / node_filesystem_size_bytes{fstype!="rootfs"}',
    "node_load1",
    "avg(node_load1) / count(count(node_cpu_seconds_total) by (instance, cpu))",
    "topk(5, rate(node_network_receive_bytes_total[5m]))",
    # Kubernetes mixins
    "sum by (namespace) (rate(container_cpu_usage_seconds_total[5m]))",
    "sum by (namespace) (container_memory_working_set_bytes)",
    "sum by (namespace, pod) (rate(container_cpu_usage_seconds_total[5m]))",
    "sum by (namespace) (container_memory_working_set_bytes) / sum by (namespace) (kube_pod_container_resource_limits)",
    "count by (namespace) (max by (namespace, pod) (container_memory_working_set_bytes) > 0)",
    "max_over_time(container_memory_working_set_bytes[1h])",
    "avg_over_time(container_memory_working_set_bytes[30m])",
    'label_replace(sum by (pod) (rate(container_cpu_usage_seconds_total[5m])), "workload", "$1", "pod", "(.*)-.*")',
    # services: requests, errors, durations
    "sum by (code) (rate(http_requests_total[5m]))",
    'sum(rate(http_requests_total{code=~"5.."}[5m])) / sum(rate(http_requests_total[5m]))',
    "histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))",
    "histogram_quantile(0.9, sum by (le, instance) (rate(http_request_duration_seconds_bucket[5m])))",
    "sum(rate(http_request_duration_seconds_sum[5m])) / sum(rate(http_request_duration_seconds_count[5m]))",
    "sum by (instance) (increase(http_requests_total[1h]))",
    # SLO burn rates
    'sum(rate(http_requests_total{code=~"5.."}[1h])) / sum(rate(http_requests_total[1h])) > (14.4 * 0.001)',
    '(1 - sum(rate(http_requests_total{code=~"5.."}[6h])) / sum(rate(http_requests_total[6h]))) * 100',
    "min_over_time(node_load1[6h]) > 0.5 and rate(node_cpu_seconds_total[5m]) > 0 or vector(0)",
    "predict_linear(node_filesystem_avail_bytes[6h], 4 * 3600) < 0",
)

_OK = 'sum(rate(http_requests_total{code!~"5.."}[1h])) / sum(rate(http_requests_total[1h]))'
_ERRORS = 'sum(rate(http_requests_total{{code=~"5.."}}[{0}])) / sum(rate(http_requests_total[{0}]))'
LONG_QUERIES = (
    *(_ERRORS.format(window) + " > (0.001 * 0.999)" for window in ("1d", "3d", "30d")),
    f"sum_over_time(({_OK})[30d:1h]) / 720",
    "avg_over_time(node_load1[30d])",
)

Columns = list[tuple[dict[str, str], Floats]]
Program = Callable[[Path], tuple[list[str], int]]


@dataclass(frozen=True)
class Size:
    """How much is stored, and over which range it is asked: hosts of 87 series each."""

    hosts: int
    hours: float
    interval_s: int
    step_s: int
    queries: tuple[str, ...] = QUERIES


SIZES = {
    "1k": Size(11, 24, 60, 120),
    "10k": Size(115, 24, 60, 120),
    "month": Size(1, 30 * 24, 60, 3600, QUERIES + LONG_QUERIES),
}


def host(number: int, rows: int) -> Columns:
    """Give the hundred series of a host: node exporter, containers, one HTTP service."""
    chance = np.random.default_rng(number)
    own = {"job": "node", "instance": f"host{number}"}
    out: Columns = []

    def counter(name: str, speed: float, **more: str) -> None:
        out.append(({"__name__": name, **own, **more}, np.cumsum(chance.poisson(speed, rows)).astype(np.float64)))

    def gauge(name: str, level: float, wander: float, **more: str) -> None:
        walk = np.cumsum(chance.normal(0, wander, rows))
        values: Floats = np.maximum(level + walk, level * 0.1)
        out.append(({"__name__": name, **own, **more}, values.round(2 if level < 1000 else 0)))

    for cpu in range(2):
        for mode in _MODES:
            seconds: Floats = np.cumsum(chance.random(rows) * (0 if mode == "steal" else 15))
            named = {"__name__": "node_cpu_seconds_total", **own, "cpu": str(cpu), "mode": mode}
            out.append((named, seconds.round(2)))
    gauge("node_memory_MemTotal_bytes", 16e9, 0)
    gauge("node_memory_MemAvailable_bytes", 8e9, 4e6)
    gauge("node_load1", 1.5, 0.05)
    for device in ("eth0", "eth1", "lo"):
        for way in ("receive", "transmit"):
            counter(f"node_network_{way}_bytes_total", 1e6, device=device)
    for device in ("sda", "sdb"):
        counter("node_disk_reads_completed_total", 40, device=device)
        gauge("node_filesystem_avail_bytes", 5e11, 1e7, device=device, fstype="ext4")
        gauge("node_filesystem_size_bytes", 1e12, 0, device=device, fstype="ext4")
    for pod in range(12):
        named = {"namespace": f"team{pod % 3}", "pod": f"app{pod}-{number}", "container": "main"}
        counter("container_cpu_usage_seconds_total", 9, **named)
        gauge("container_memory_working_set_bytes", 2e8, 1e5, **named)
        gauge("kube_pod_container_resource_limits", 1e9, 0, **named)
    for code in ("200", "404", "500"):
        for path in ("/", "/api"):
            counter("http_requests_total", 90 if code == "200" else 1, code=code, path=path)
    buckets = np.cumsum(np.cumsum(chance.poisson(4, (rows, len(_LE))), axis=0), axis=1).astype(np.float64)
    for at, bound in enumerate(_LE):
        out.append(({"__name__": "http_request_duration_seconds_bucket", **own, "le": bound}, buckets[:, at]))
    out.append(({"__name__": "http_request_duration_seconds_count", **own}, buckets[:, -1]))
    out.append(({"__name__": "http_request_duration_seconds_sum", **own}, (buckets[:, -1] * 0.042).round(3)))
    out.sort(key=lambda column: column[0]["__name__"])  # as an exposition has them
    return out


def bodies(hosts: list[Columns], times_ms: Times) -> Iterator[bytes]:
    """Give remote-write requests, oldest first; each host's samples a second apart."""
    for first in range(0, len(times_ms), _ROWS_A_BODY):
        here = slice(first, min(first + _ROWS_A_BODY, len(times_ms)))
        for number, columns in enumerate(hosts):
            times = times_ms[here] + number % 10 * 1000
            yield request([(labels, times, values[here]) for labels, values in columns])


def victoria(folder: Path) -> tuple[list[str], int]:
    port = free_port()
    where = [f"-storageDataPath={folder}/data", "-retentionPeriod=100y", "-loggerLevel=ERROR"]
    return [str(PEERS / "victoria-metrics"), *where, f"-httpListenAddr=127.0.0.1:{port}"], port


@dataclass
class Taken:
    """Wall ms of each query, and the CPU seconds of the process for all."""

    wall_ms: list[float]
    cpu_s: float


def ask_all(server: Server, end_s: int, size: Size, *, instant: bool) -> Taken:
    """Ask every query once."""
    took = []
    before = cpu_of(server.process.pid)
    for text in size.queries:
        path = "/api/v1/query?" + urlencode({"query": text, "time": end_s})
        if not instant:
            span = {"start": end_s - int(size.hours * 3600), "end": end_s, "step": size.step_s}
            path = "/api/v1/query_range?" + urlencode({"query": text, **span})
        began = time.perf_counter()
        answer = server.ask("GET", path)
        took.append((time.perf_counter() - began) * 1000)
        assert orjson.loads(answer)["status"] == "success", text
    return Taken(took, cpu_of(server.process.pid) - before)


def report(title: str, taken: dict[str, Taken], queries: tuple[str, ...], *, each: bool) -> None:
    ours = taken["watchkeeper"]
    line = f"{title:17}"
    for name, took in taken.items():
        line += f"  {name} {sum(took.wall_ms):6.0f} ms, CPU {took.cpu_s:.2f} s"
    for name in taken.keys() - {"watchkeeper"}:
        ratio = mean([one / other for one, other in zip(ours.wall_ms, taken[name].wall_ms, strict=True)])
        line += f"; {ratio:.2f} x {name}, CPU {ours.cpu_s / max(taken[name].cpu_s, 0.01):.2f} x"
    print(line, flush=True)
    if each:
        for at, text in enumerate(queries):
            print("".join(f"{took.wall_ms[at]:9.2f}" for took in taken.values()), text)


def run(size: Size, settle_s: float, programs: dict[str, Program], *, each: bool = False) -> None:
    """Load the same samples into every program, ask it all, and print what it took."""
    rows = int(size.hours * 3600 / size.interval_s) + 2
    end_s = int(time.time()) // size.step_s * size.step_s - size.step_s
    times = (end_s + size.interval_s - np.arange(rows)[::-1].astype(np.int64) * size.interval_s) * 1000
    hosts = [host(number, rows) for number in range(1, size.hosts + 1)]  # queries name host1
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers: dict[str, Server] = {}
        for name, make in programs.items():
            (root / name).mkdir()
            command, port = make(root / name)
            ready = "/health" if name == "victoria" else "/-/ready"
            servers[name] = stack.enter_context(running(name, command, port, ready))
        for body in bodies(hosts, times[:-1]):
            for server in servers.values():
                server.ask("POST", "/api/v1/write", body, _HEADERS)
        time.sleep(settle_s)  # VictoriaMetrics shows samples after a while; ours merges its chunks meanwhile
        told = f"{sum(map(len, hosts))} series x {size.hours:g} h every {size.interval_s} s"
        print(f"{told}, step {size.step_s} s, {len(size.queries)} queries", flush=True)
        for when in ("cold", "", "again"):  # the time between goes unreported: what comes again and again is known then
            for kind in ("instant", "range"):
                instant = kind == "instant"
                asked = {name: ask_all(one, end_s, size, instant=instant) for name, one in servers.items()}
                if when:
                    report(f"{kind}, {when}", asked, size.queries, each=each)
        newest = [[(labels, values[-1:]) for labels, values in columns] for columns in hosts]
        for body in bodies(newest, times[-1:]):
            for server in servers.values():
                server.ask("POST", "/api/v1/write", body, _HEADERS)
        end_s += size.step_s
        asked = {name: ask_all(one, end_s, size, instant=False) for name, one in servers.items()}
        report("range, refreshed", asked, size.queries, each=each)


def _ours(folder: Path) -> tuple[list[str], int]:
    return watchkeeper(folder, None)


PROGRAMS: dict[str, Program] = {"prometheus": prometheus, "victoria": victoria, "watchkeeper": _ours}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, nargs="+", default=list(SIZES))
    parser.add_argument("--interval", type=int, default=60, help="between scrapes, s")
    parser.add_argument("--settle", type=float, default=35)
    parser.add_argument("--each", action="store_true", help="print each query's wall times, ms")
    options = parser.parse_args()
    signal.alarm(_WHOLE_RUN_S)
    for name in options.size:
        run(replace(SIZES[name], interval_s=options.interval), options.settle, PROGRAMS, each=options.each)


if __name__ == "__main__":
    main()
