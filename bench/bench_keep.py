"""What keeping samples costs, beside Prometheus and VictoriaMetrics: memory, bytes on the disk, time to start again.

The same samples are remote-written to all three, one after the other. Memory is read when all has been taken in and the
program has had its half minute to settle; then it is killed (SIGKILL) and started again, and the time until it is ready
and answers a query is taken. Bytes a sample are those of blocks alone, of a day of samples.

    python -m bench.bench_keep [--series 100000] [--rows 240] [--day-series 1000]
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import cramjam
import numpy as np
import orjson

from bench.bench_program import resident_mib
from bench.bench_query import INTERVAL_MS, Server, prometheus, target, watchkeeper
from bench.bench_write import labels_1, victoria
from watchkeeper.net.protobuf import field, varint
from watchkeeper.store.files import RealFiles
from watchkeeper.store.metrics.block import BlockFile

_PER_TARGET = 1000
_SETTLE_S = 35.0
_READY_S = 120.0
_BLOCKS_S = 150.0
_WHOLE_RUN_S = 595
_HEADERS = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
NAMES = ("watchkeeper", "Prometheus", "VictoriaMetrics")


@dataclass
class Kept:
    """What was measured of one program."""

    resident_mib: float = 0.0
    ready_s: float = 0.0
    bytes_a_sample: float = 0.0


def bodies(series: int, rows: int, end_ms: int) -> Iterator[bytes]:
    """Give remote-write requests as Prometheus sends them, each one row of a target, oldest first."""
    plans = [_Requests(number, min(_PER_TARGET, series), rows) for number in range(-(-series // _PER_TARGET))]
    for row in range(rows):
        for plan in plans:
            yield plan.body(row, end_ms + (row - rows) * INTERVAL_MS)


class _Requests:
    """Requests of one target: the same bytes but for values and times."""

    def __init__(self, number: int, series: int, rows: int) -> None:
        labels, values = target(number, series, rows)
        self._values = np.where(values == 0, 0.5, values)  # a zero would be left out, and the bytes be others
        self._jitter_ms = number * 137
        empty = field(2, b"\x09" + bytes(8) + b"\x10" + varint(1_700_000_000_000))
        parts = [field(1, labels_1(one) + empty) for one in labels]
        self._ends = np.cumsum([len(part) for part in parts])[:, np.newaxis]
        self._bytes = np.frombuffer(bytearray(b"".join(parts)), np.uint8)

    def body(self, row: int, time_ms: int) -> bytes:
        time = np.frombuffer(varint(time_ms + self._jitter_ms), np.uint8)
        self._bytes[self._ends - 6 + np.arange(6)] = time
        values = np.ascontiguousarray(self._values[:, row]).view(np.uint8).reshape(-1, 8)
        self._bytes[self._ends - 15 + np.arange(8)] = values
        return bytes(cramjam.snappy.compress_raw(self._bytes.data))


def command(name: str, folder: Path) -> tuple[list[str], int]:
    if name == "watchkeeper":
        return watchkeeper(folder, None)
    return prometheus(folder) if name == "Prometheus" else victoria(folder)


def start(name: str, made: tuple[list[str], int]) -> tuple[Server, float]:
    """Start a program; give it and the seconds until it was ready and answered a query."""
    began = time.monotonic()
    process = subprocess.Popen(made[0], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    server = Server(name, process, made[1])
    while time.monotonic() - began < _READY_S and process.poll() is None:
        try:
            server.ask("GET", "/-/ready" if name != "VictoriaMetrics" else "/health")
            server.ask("GET", "/api/v1/query?" + urlencode({"query": "count(memory_bytes)"}))
        except (OSError, AssertionError):
            time.sleep(0.05)
        else:
            return server, time.monotonic() - began
    process.kill()
    raise AssertionError(f"{name} does not start")


def measure_memory(name: str, options: argparse.Namespace, folder: Path, kept: Kept) -> None:
    made = command(name, folder)
    server, _ = start(name, made)
    try:
        for body in bodies(options.series, options.rows, int(time.time() * 1000)):
            server.ask("POST", "/api/v1/write", body, _HEADERS)
        time.sleep(_SETTLE_S)
        kept.resident_mib = resident_mib(server.process.pid)
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        server, kept.ready_s = start(name, made)
        answer = server.ask("GET", "/api/v1/query?" + urlencode({"query": 'count({instance=~"10.0.0.*"})'}))
        (found,) = orjson.loads(answer)["data"]["result"]
        assert int(found["value"][1]) == options.series, (name, found)
    finally:
        server.process.kill()
        server.process.wait()


def measure_disk(name: str, options: argparse.Namespace, folder: Path, kept: Kept) -> None:
    rows = 24 * 3_600_000 // INTERVAL_MS
    server, _ = start(name, command(name, folder))
    try:
        for body in bodies(options.day_series, rows, int(time.time() * 1000)):
            server.ask("POST", "/api/v1/write", body, _HEADERS)
        if name == "VictoriaMetrics":
            server.ask("GET", "/internal/force_merge")
        deadline = time.monotonic() + _BLOCKS_S
        held, samples = block_bytes(name, folder, options.day_series * rows)
        while time.monotonic() < deadline:
            time.sleep(10)
            before = held, samples
            held, samples = block_bytes(name, folder, options.day_series * rows)
            if samples > options.day_series * rows * 0.75 and before == (held, samples):
                break
        kept.bytes_a_sample = held / samples
    finally:
        server.process.terminate()
        server.process.wait()


def block_bytes(name: str, folder: Path, written: int) -> tuple[int, int]:
    """Give the bytes of a program's blocks, and how many samples are in them."""
    data = folder / "data"
    if name == "VictoriaMetrics":
        return sum(path.stat().st_size for path in data.rglob("*") if path.is_file()), written
    if name == "Prometheus":
        metas = list(data.glob("01*/meta.json"))
        samples = sum(orjson.loads(meta.read_bytes())["stats"]["numSamples"] for meta in metas)
        return sum(p.stat().st_size for meta in metas for p in meta.parent.rglob("*") if p.is_file()), max(samples, 1)
    held = samples = 0
    for path in (data / "metrics" / "blocks").glob("*.block"):
        held += path.stat().st_size
        samples += sum(one.samples for one in BlockFile(RealFiles(path.parent), path.name).contents().frames)
    return held, max(samples, 1)


def report(options: argparse.Namespace, found: dict[str, Kept]) -> None:
    ours, theirs, victorias = (found[name] for name in NAMES)
    print(f"{options.series} series x {options.rows} rows; a day of {options.day_series} series for the disk")
    print(f"{'':24}{NAMES[0]:>12}{NAMES[1]:>12}{'ratio':>7}{NAMES[2]:>17}{'ratio':>7}   budget")
    lines = (
        ("resident MiB", "resident_mib", "0.5 x Prometheus"),
        ("ready after kill -9, s", "ready_s", "0.5 x Prometheus"),
        ("disk bytes a sample", "bytes_a_sample", "0.5 x Prometheus, 1 x VictoriaMetrics"),
    )
    for title, what, budget in lines:
        mine, one, two = (getattr(kept, what) for kept in (ours, theirs, victorias))
        if not one:
            continue
        print(f"{title:24}{mine:12.2f}{one:12.2f}{mine / one:7.2f}{two:17.2f}{mine / two:7.2f}   {budget}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=100_000)
    parser.add_argument("--rows", type=int, default=240)
    parser.add_argument("--day-series", type=int, default=1000, help="0: leave the disk out")
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    signal.alarm(_WHOLE_RUN_S * max(1, options.rows // 240))
    found = {name: Kept() for name in NAMES}
    for name in NAMES:
        for what, measure in (("memory", measure_memory), ("disk", measure_disk))[: 1 + bool(options.day_series)]:
            with tempfile.TemporaryDirectory() as folder:
                measure(name, options, Path(folder), found[name])
                print(f"{name}: {what} done", file=sys.stderr, flush=True)
    report(options, found)


if __name__ == "__main__":
    main()
