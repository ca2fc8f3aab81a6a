"""CPU per scraped sample, HTTP and store included, beside the real Prometheus in the same run.

Targets are served by a process of their own, whose work is not counted; every number changes every time. Both programs
scrape the same targets at the same interval, at the same time, after a warm-up that is not counted either.

    python bench/bench_scrape.py [--targets 50] [--series 500] [--interval 1] [--seconds 20]
"""

import argparse
import asyncio
import multiprocessing
import os
import random
import resource
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import orjson

PEERS = Path(os.environ.get("WATCHKEEPER_PEERS", Path.home() / ".cache/watchkeeper/peers")) / "usr/bin"
_WARM_UP_S = 5
_VARIANTS = 20


def make_body(target: int, series: int, turn: int) -> bytes:
    """A service's metrics: counters by path, half of them with fractions."""
    pick = random.Random(target)
    lines = []
    for at in range(series):
        family, item = divmod(at, 20)
        if item == 0:
            lines.append(f"# HELP http_requests_{family}_total Requests by path.")
            lines.append(f"# TYPE http_requests_{family}_total counter")
        value = pick.randint(0, 10**6) + turn * pick.randint(1, 50)
        text = str(value) if at % 2 else repr(value * 1.001)
        lines.append(f'http_requests_{family}_total{{method="GET",path="/api/v1/items/{item}",code="200"}} {text}')
    return ("\n".join(lines) + "\n").encode()


class Answering(asyncio.Protocol):
    """Answers GET /<target> with the target's next variant."""

    def __init__(self, answers: list[list[bytes]]) -> None:
        self._answers, self._turn = answers, 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        target = int(data.split(b" ", 2)[1][1:])
        self._turn += 1
        self._transport.write(self._answers[target][self._turn % _VARIANTS])


def serve(targets: int, series: int, ready: Connection) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: %d\r\n\r\n"
    answers: list[list[bytes]] = []
    for target in range(targets):
        bodies = [make_body(target, series, turn) for turn in range(_VARIANTS)]
        answers.append([head % len(body) + body for body in bodies])

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(lambda: Answering(answers), "127.0.0.1", 0)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def scrape_configs(port: int, targets: int, interval: float) -> dict[str, Any]:
    groups = [
        {"targets": [f"127.0.0.1:{port}"], "labels": {"__metrics_path__": f"/{at}", "instance": f"t{at}"}}
        for at in range(targets)
    ]
    every = f"{int(interval * 1000)}ms"
    return {
        "global": {"scrape_interval": every, "scrape_timeout": every},
        "scrape_configs": [{"job_name": "bench", "static_configs": groups}],
    }


def ours(config: dict[str, Any], folder: str, seconds: float, answer: Connection) -> None:
    import uvloop  # noqa: PLC0415 # in the measured process alone

    from watchkeeper.collect.scrape import Scraper  # noqa: PLC0415 # as above
    from watchkeeper.collect.settings import GlobalConfig, ScrapeConfig  # noqa: PLC0415 # as above
    from watchkeeper.model.clock import SystemClock  # noqa: PLC0415 # as above
    from watchkeeper.store.files import RealFiles  # noqa: PLC0415 # as above
    from watchkeeper.store.metrics.db import MetricDb  # noqa: PLC0415 # as above
    from watchkeeper.store.settings import MetricSettings  # noqa: PLC0415 # as above

    async def run() -> tuple[float, int]:
        clock = SystemClock()
        db = MetricDb(RealFiles(Path(folder)), MetricSettings(), clock)
        await db.start()
        scraper = Scraper(db, clock)
        text = {"scrape_interval": config["global"]["scrape_interval"]}
        defaults = GlobalConfig.model_validate({**text, "scrape_timeout": text["scrape_interval"]})
        await scraper.apply(defaults, [ScrapeConfig.model_validate(one) for one in config["scrape_configs"]])
        await scraper.start()
        await asyncio.sleep(_WARM_UP_S)
        before, samples = _used(), _scraped()
        await asyncio.sleep(seconds)
        used = _used() - before
        scraped = _scraped() - samples
        assert all(health.state == "up" for _, health in scraper.targets()), "a target is down"
        await scraper.stop()
        await db.stop()
        return used, scraped

    answer.send((*uvloop.run(run()), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))


def _used() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _scraped() -> int:
    from watchkeeper.model.metrics import REGISTRY  # noqa: PLC0415 # in the measured process alone

    return int(REGISTRY.get_sample_value("watchkeeper_scraped_samples_total") or 0)


def cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start_prometheus(config: dict[str, Any], folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "prometheus.yml").write_bytes(orjson.dumps(config))
    command = [
        str(PEERS / "prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    ]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL), port


def read_options(doc: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--targets", type=int, default=50)
    parser.add_argument("--series", type=int, default=500)
    parser.add_argument("--interval", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=20)
    return parser.parse_args()


@contextmanager
def targets_served(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Serve the targets from a process of their own; gives the configuration that names them."""
    context = multiprocessing.get_context("spawn")
    hear, say = context.Pipe()
    server = context.Process(target=serve, args=(options.targets, options.series, say), daemon=True)
    server.start()
    try:
        yield scrape_configs(hear.recv(), options.targets, options.interval)
    finally:
        server.terminate()


def main() -> None:
    options = read_options(__doc__)
    context = multiprocessing.get_context("spawn")
    with targets_served(options) as config, tempfile.TemporaryDirectory() as folder:
        result, answer = context.Pipe()
        (Path(folder) / "ours").mkdir()
        scraper = context.Process(target=ours, args=(config, f"{folder}/ours", options.seconds, answer))
        peer = start_prometheus(config, Path(folder))[0] if (PEERS / "prometheus").exists() else None
        scraper.start()
        answer.close()  # so that a scraper that dies is an end of file here, not a wait for ever
        try:
            time.sleep(_WARM_UP_S + 1)
            before = cpu_of(peer.pid) if peer else 0.0
            time.sleep(options.seconds)
            theirs = cpu_of(peer.pid) - before if peer else 0.0
            used, samples, rss = result.recv()
        finally:
            if peer is not None:
                peer.kill()
                peer.wait()
        scraper.join()
    report(options, used, samples, rss, theirs)


def report(options: argparse.Namespace, used: float, samples: int, rss_kib: int, theirs: float) -> None:
    expected = options.targets * options.series * options.seconds / options.interval
    print(f"{options.targets} targets x {options.series} series every {options.interval} s, {options.seconds} s")
    print(
        f"watchkeeper  {used / samples * 1e6:6.2f} CPU s per million samples ({samples} scraped, {rss_kib >> 10} MiB)"
    )
    if theirs:
        print(f"Prometheus   {theirs / expected * 1e6:6.2f} CPU s per million samples")
        print(f"ratio        {used / samples / (theirs / expected):6.2f} (budget 0.5)")
    else:
        print(f"no real Prometheus in {PEERS}: no ratio")


if __name__ == "__main__":
    main()
