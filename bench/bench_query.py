"""Dashboard queries beside the real Prometheus: the same samples, the same requests over HTTP, JSON on both sides.

A third process is ours without its cache of decoded samples ("cold"): every query decodes what it reads. All three are
loaded by remote write; ours is given time to move old samples into blocks, as it would have had in hours.

    python -m bench.bench_query [--series 500] [--hours 6] [--targets 10] [--times 5]
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlencode

import cramjam
import numpy as np
import orjson

from bench.bench_scrape import PEERS, cpu_of
from watchkeeper.model.frame import Floats, Times
from watchkeeper.net.protobuf import field

INTERVAL_MS = 15_000
STEP_S = 60
_BODY_ROWS = 120
_REQUEST_S = 20
_READY_S = 30
_SETTLED_S = 40
_WHOLE_RUN_S = 150
_RETENTION_DAYS = 100
_BOUNDS = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "+Inf")
_JSON = {"Content-Type": "application/json"}
QUERIES = {
    "rate by job": "sum by (job) (rate(http_requests_total[5m]))",
    "quantile": "histogram_quantile(0.9, sum by (le) (rate(latency_seconds_bucket[5m])))",
    "avg_over_time": "avg_over_time(temperature[5m])",
    "max_over_time": "max_over_time(temperature[1h])",
    "irate": "irate(http_requests_total[5m])",
    "gauges": "memory_bytes",
    "topk": "topk(5, rate(http_requests_total[5m]))",
    "ratio": 'sum(rate(http_requests_total{code="500"}[5m])) / sum(rate(http_requests_total[5m]))',
    "count by": "count by (instance) (temperature > 20)",
    "increase": "sum by (instance) (increase(latency_seconds_count[1h]))",
}


@dataclass
class Server:
    """A program that answers Prometheus' HTTP API; it is asked over one connection, as browsers and Grafana do."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    _kept: HTTPConnection | None = None

    def ask(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> bytes:
        kept, self._kept = self._kept, None
        connection = kept or HTTPConnection("127.0.0.1", self.port, timeout=_REQUEST_S)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, HTTPException):
            connection.close()
            if kept is None:
                raise
            return self.ask(method, path, body, headers)  # it had been idle for too long
        self._kept = connection
        assert answer.status < 300, (self.name, path, answer.status, text[:300])
        return text


# -- the samples


def target(number: int, series: int, rows: int) -> tuple[list[dict[str, str]], Floats]:
    """Give a target's series: one histogram, then counters and gauges in turn; and float64[series, rows]."""
    chance = np.random.default_rng(number)
    own = {"job": f"job{number % 3}", "instance": f"10.0.0.{number}:9100"}
    labels: list[dict[str, str]] = []
    values: list[Floats] = []

    def add(name: str, column: Floats, **more: str) -> None:
        labels.append({"__name__": name, **own, **more})
        values.append(column)

    each = np.cumsum(chance.poisson(3, (rows, len(_BOUNDS))), axis=0).astype(np.float64)
    buckets = np.cumsum(each, axis=1)
    for at, bound in enumerate(_BOUNDS):
        add("latency_seconds_bucket", buckets[:, at], le=bound)
    add("latency_seconds_count", buckets[:, -1])
    add("latency_seconds_sum", np.round(buckets[:, -1] * 0.0731, 3))
    at = 0
    while len(labels) < series:
        kind, item = at % 4, f"/items/{at // 4}"
        if kind < 2:
            counts = np.cumsum(chance.poisson(chance.uniform(0.5, 500), rows)).astype(np.float64)
            if at == 0:
                counts[rows // 2 :] -= counts[rows // 2]  # a restart
            add("http_requests_total", counts, path=item, code=("200", "500")[kind])
        elif kind == 2:
            add("temperature", np.round(20 + np.cumsum(chance.normal(0, 0.2, rows)), 1), sensor=item)
        else:
            pages = 100_000 + np.cumsum(chance.integers(-500, 500, rows))
            add("memory_bytes", 4096.0 * pages.astype(np.float64), pool=item)
        at += 1
    order = sorted(range(series), key=lambda at: labels[at]["__name__"])  # as an exposition has them
    return [labels[at] for at in order], np.array([values[at] for at in order])


def sample_messages(times: Times, values: Floats) -> bytes:
    """Give Sample messages; Unix milliseconds of this age of the world are varints of six bytes."""
    out = np.zeros((len(times), 18), np.uint8)
    out[:, :3] = 0x12, 16, 0x09
    out[:, 3:11] = np.ascontiguousarray(values).view(np.uint8).reshape(-1, 8)
    out[:, 11] = 0x10
    for at in range(6):
        out[:, 12 + at] = (times >> 7 * at & 0x7F) | (0x80 if at < 5 else 0)
    return out.tobytes()


def bodies(options: argparse.Namespace, start_ms: int) -> Iterator[bytes]:
    """Give remote-write requests with all samples, oldest first."""
    rows = int(options.hours * 3_600_000 / INTERVAL_MS)
    made = [target(number, options.series // options.targets, rows) for number in range(options.targets)]
    for first in range(0, rows, _BODY_ROWS):
        here = slice(first, min(first + _BODY_ROWS, rows))
        parts: list[tuple[dict[str, str], Times, Floats]] = []
        for number, (labels, values) in enumerate(made):
            times = start_ms + np.arange(here.start, here.stop, dtype=np.int64) * INTERVAL_MS + number * 1100
            for one, row in zip(labels, values, strict=True):
                parts.append((one, times, row[here]))
        yield request_of(parts)


def request_of(series: Sequence[tuple[dict[str, str], Times, Floats]]) -> bytes:
    """Give a remote-write request with samples of some series."""
    parts = []
    for one, times, values in series:
        pairs = (field(1, name.encode()) + field(2, text.encode()) for name, text in sorted(one.items()))
        parts.append(field(1, b"".join(field(1, pair) for pair in pairs) + sample_messages(times, values)))
    return bytes(cramjam.snappy.compress_raw(b"".join(parts)))


# -- the programs


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(name: str, command: list[str], port: int, ready: str = "/-/ready") -> Iterator[Server]:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            server = Server(name, process, port)
            _wait_ready(server, ready)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_ready(server: Server, path: str) -> None:
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            server.ask("GET", path)
        except (OSError, AssertionError):
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"{server.name} does not start")


def prometheus(folder: Path) -> tuple[list[str], int]:
    (folder / "prometheus.yml").write_text("global: {}\n")
    port = free_port()
    where = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    listen = [f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver", "--log.level=error"]
    where.append(f"--storage.tsdb.retention.time={_RETENTION_DAYS}d")
    return [str(PEERS / "prometheus"), *where, *listen], port


def watchkeeper(folder: Path, cache_bytes: int | None) -> tuple[list[str], int]:
    (folder / "config").mkdir()
    (folder / "config" / "prometheus.yml").write_text("global: {}\n")
    kept: dict[str, int] = {"retention_ms": _RETENTION_DAYS * 86_400_000}
    if cache_bytes is not None:
        kept["decoded_bytes_max"] = cache_bytes
    watched = {"itself": False, "host": False, "rules": False}  # as the peers
    own = {"watch": watched, "metrics": kept}
    (folder / "config" / "watchkeeper.yml").write_bytes(
        orjson.dumps(own)
    )  # old samples are late once new ones are there
    port = free_port()
    where = ["--config", str(folder / "config"), "--data", str(folder / "data"), "--listen", f"127.0.0.1:{port}"]
    return [sys.executable, "-m", "watchkeeper.app", "up", *where, "--auth", "none", "--log-level", "error"], port


def wait_settled(servers: list[Server]) -> None:
    """Wait until old samples lie in blocks, or for a while."""
    deadline = time.monotonic() + _SETTLED_S
    while time.monotonic() < deadline:
        blocks = [_metric(server, "prometheus_tsdb_blocks_loaded") for server in servers]
        if min(blocks) >= 1:
            time.sleep(2)  # for compaction
            return
        time.sleep(0.5)
    print(f"blocks so far: {blocks}")


def _metric(server: Server, name: str) -> float:
    for line in server.ask("GET", "/metrics").decode().splitlines():
        if line.startswith(name + " "):
            return float(line.rpartition(" ")[2])
    return 0.0


# -- measuring


@dataclass
class Taken:
    """Best wall time of each query in ms, and the CPU seconds of the process for all of them."""

    best_ms: dict[str, float]
    cpu_s: float
    series: dict[str, int]


def measure(server: Server, end_s: float, options: argparse.Namespace, *, instant: bool) -> Taken:
    best: dict[str, float] = {}
    sizes: dict[str, int] = {}
    before = cpu_of(server.process.pid)
    for name, text in QUERIES.items():
        if instant:
            path = "/api/v1/query?" + urlencode({"query": text, "time": end_s})
        else:
            span = {"start": end_s - options.hours * 3600, "end": end_s, "step": STEP_S}
            path = "/api/v1/query_range?" + urlencode({"query": text, **span})
        for _ in range(options.times):
            began = time.perf_counter()
            answer = server.ask("GET", path)
            best[name] = min(best.get(name, 1e9), (time.perf_counter() - began) * 1000)
        sizes[name] = len(orjson.loads(answer)["data"]["result"])
    return Taken(best, cpu_of(server.process.pid) - before, sizes)


def mean(ratios: list[float]) -> float:
    return float(np.exp(np.mean(np.log(ratios))))


def report(title: str, peer: Taken, cold: Taken, warm: Taken) -> None:
    print(f"\n{title:15}{'Prometheus':>11}{'cold':>8}{'ratio':>7}{'cached':>8}{'ratio':>7}   wall ms, best; series")
    for name in QUERIES:
        theirs, one, two = peer.best_ms[name], cold.best_ms[name], warm.best_ms[name]
        same = "" if peer.series[name] == cold.series[name] == warm.series[name] else "   DIFFERENT"
        numbers = f"{theirs:11.1f}{one:8.1f}{one / theirs:7.2f}{two:8.1f}{two / theirs:7.2f}"
        print(f"{name:15}{numbers}   {peer.series[name]}{same}")
    ratios = [mean([taken.best_ms[name] / peer.best_ms[name] for name in QUERIES]) for taken in (cold, warm)]
    print(f"{'geometric mean':15}{'':19}{ratios[0]:7.2f}{'':8}{ratios[1]:7.2f}")
    one, two = cold.cpu_s / peer.cpu_s, warm.cpu_s / peer.cpu_s
    print(f"{'CPU s, all':15}{peer.cpu_s:11.2f}{cold.cpu_s:8.2f}{one:7.2f}{warm.cpu_s:8.2f}{two:7.2f}")


def run(options: argparse.Namespace) -> None:
    end_ms = int(time.time() * 1000) - 60_000
    start_ms = end_ms - int(options.hours * 3_600_000)
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = []
        for name in ("prometheus", "cold", "cached"):
            (root / name).mkdir()
            made = prometheus(root / name) if name == "prometheus" else watchkeeper(root / name, _cache(name))
            servers.append(stack.enter_context(running(name, *made)))
        headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
        for body in bodies(options, start_ms):
            for server in servers:
                server.ask("POST", "/api/v1/write", body, headers)
        wait_settled(servers[1:])
        print(f"{options.series} series x {options.hours:g} h in {options.targets} targets, best of {options.times}")
        for title, instant in ((f"range/{STEP_S} s", False), ("instant", True)):
            report(title, *(measure(server, end_ms / 1000, options, instant=instant) for server in servers))


def _cache(name: str) -> int | None:
    return 0 if name == "cold" else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=500)
    parser.add_argument("--hours", type=float, default=6)
    parser.add_argument("--targets", type=int, default=10)
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    assert (PEERS / "prometheus").exists(), f"no Prometheus in {PEERS}: run tools/test-servers"
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    signal.alarm(_WHOLE_RUN_S)  # whatever hangs, this ends; the peers go with the temporary folder's processes
    signal.signal(signal.SIGALRM, _too_long)
    run(options)


def _too_long(_number: int, _frame: object) -> None:
    raise TimeoutError(f"the benchmark took more than {_WHOLE_RUN_S} s")


if __name__ == "__main__":
    main()
