"""Remote write beside the real Prometheus and VictoriaMetrics: the same requests, over HTTP, one after the other.

"steady": the series divide evenly into requests, so that the same shape comes again and again. "shifting": they do
not, as with a real sender, and no two requests have the same series in the same order. "2.0": the same in the other
format. The first quarter of the requests is not counted.

    python -m bench.bench_write [--series 10000] [--rounds 60]
"""

import argparse
import signal
import struct
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path

import cramjam
import numpy as np

from bench.bench_query import Server, free_port, prometheus, running, target, watchkeeper
from bench.bench_scrape import PEERS, cpu_of
from watchkeeper.model.frame import Floats
from watchkeeper.net.protobuf import field, varint

INTERVAL_MS = 15_000
_PER_REQUEST = 2000
_PER_TARGET = 500
_WHOLE_RUN_S = 280
_KIND = "application/x-protobuf"
_V2 = _KIND + ";proto=io.prometheus.write.v2.Request"


def victoria(folder: Path) -> tuple[list[str], int]:
    """Give VictoriaMetrics' command line and port."""
    port = free_port()
    where = [f"-storageDataPath={folder}/data", f"-httpListenAddr=127.0.0.1:{port}", "-retentionPeriod=1"]
    return [str(PEERS / "victoria-metrics"), *where, "-loggerLevel=ERROR"], port


def samples(options: argparse.Namespace, series: int) -> tuple[list[dict[str, str]], Floats]:
    """Give the labels of all series and float64[n_series, n_rounds]."""
    made = [target(number, _PER_TARGET, options.rounds) for number in range(-(-series // _PER_TARGET))]
    labels = [one for part, _ in made for one in part][:series]
    return labels, np.concatenate([values for _, values in made])[:series]


def requests(options: argparse.Namespace, series: int, version: int, start_ms: int) -> Iterator[tuple[bytes, int]]:
    """Give bodies and how many samples each has."""
    labels, values = samples(options, series)
    heads = [labels_1(one) for one in labels] if version == 1 else []
    pending: list[tuple[int, bytes]] = []
    for turn in range(options.rounds):
        for at, value in enumerate(values[:, turn].tolist()):
            sample = b"\x09" + struct.pack("<d", value) if value else b""
            pending.append((at, field(2, sample + b"\x10" + varint(start_ms + turn * INTERVAL_MS + at // _PER_TARGET))))
            if len(pending) == _PER_REQUEST:
                yield _body(pending, labels, heads), len(pending)
                pending = []


def _body(pending: Sequence[tuple[int, bytes]], labels: Sequence[Mapping[str, str]], heads: Sequence[bytes]) -> bytes:
    if heads:
        message = b"".join(field(1, heads[at] + sample) for at, sample in pending)
    else:
        table: dict[str, int] = {"": 0}
        parts = []
        for at, sample in pending:
            refs = (table.setdefault(text, len(table)) for pair in sorted(labels[at].items()) for text in pair)
            parts.append(field(5, field(1, b"".join(map(varint, refs))) + sample + b"\x2a\x00"))
        message = b"".join(field(4, text.encode()) for text in table) + b"".join(parts)
    return bytes(cramjam.snappy.compress_raw(message))


def labels_1(labels: Mapping[str, str]) -> bytes:
    return b"".join(
        field(1, field(1, name.encode()) + field(2, text.encode())) for name, text in sorted(labels.items())
    )


def measure(server: Server, bodies: Sequence[tuple[bytes, int]], kind: str) -> tuple[float, float]:
    """Give CPU seconds and wall seconds a million samples."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
    headers = {"Content-Encoding": "snappy", "Content-Type": kind}
    warm = len(bodies) // 4  # series that are new cost each of them more; what is measured is what goes on all day
    for at, (body, _) in enumerate(bodies):
        if at == warm:
            cpu, began = cpu_of(server.process.pid), time.perf_counter()
        connection.request("POST", "/api/v1/write", body, headers)
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status < 300, (server.name, answer.status, text[:300])
    took = time.perf_counter() - began
    connection.close()
    millions = sum(count for _, count in bodies[warm:]) / 1e6
    return (cpu_of(server.process.pid) - cpu) / millions, took / millions


def run(options: argparse.Namespace) -> None:
    plans = [
        (f"{prefix}{name}", options.series + more, version)
        for version, prefix in ((1, ""), (2, "2.0 "))
        for name, more in (("steady", 0), ("shifting", 7))
    ]
    print("              CPU s a million samples                       samples/s")
    print("                  ours  Prometheus  ratio Victoria ratio        ours Prometheus  Victoria")
    for title, series, version in plans:
        start_ms = int(time.time() * 1000) - options.rounds * INTERVAL_MS - 60_000
        bodies = list(requests(options, series, version, start_ms))
        with ExitStack() as stack:
            root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            found = {}
            for name in ("ours", "prometheus", "victoria")[: 3 if version == 1 else 2]:
                (root / name).mkdir()
                folder = root / name
                made = {"prometheus": prometheus, "victoria": victoria}
                command = watchkeeper(folder, None) if name == "ours" else made[name](folder)
                with running(name, *command) as server:
                    found[name] = measure(server, bodies, _KIND if version == 1 else _V2)
        _report(title, found)


def _report(title: str, found: Mapping[str, tuple[float, float]]) -> None:
    ours, theirs = found["ours"], found["prometheus"]
    line = f"{title:14}{ours[0]:8.2f}{theirs[0]:12.2f}{ours[0] / theirs[0]:7.3f}"
    victoria_s = found.get("victoria")
    line += f"{victoria_s[0]:9.2f}{ours[0] / victoria_s[0]:6.2f}" if victoria_s else f"{'':15}"
    rates = [f"{1e6 / wall:11,.0f}" for _, wall in found.values()]
    print(line + "".join(rates), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=60)
    options = parser.parse_args()
    signal.alarm(_WHOLE_RUN_S)
    run(options)


if __name__ == "__main__":
    main()
