"""A writer that remembers, a server of bodies, and the real Prometheus."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.peers import PEERS, RealPrometheus

from watchkeeper.collect.fetch import Fetch
from watchkeeper.collect.relabel import Relabel
from watchkeeper.collect.settings import GlobalConfig, ScrapeConfig, ScrapeSettings, complete
from watchkeeper.collect.target_loop import TargetLoop
from watchkeeper.collect.targets import make_target
from watchkeeper.model.clock import SystemClock
from watchkeeper.model.doors import ExemplarWriter
from watchkeeper.model.frame import Appended, Layout, MetricMetadata, Row, is_absent
from watchkeeper.model.labels import LabelPairs, Labels, label_pairs


class RecordingWriter:
    """Takes rows and remembers them in order."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.layouts: list[tuple[str, list[Labels]]] = []
        self.metadata: dict[str, MetricMetadata] = {}
        self.commits = 0
        self.refusal: Exception | None = None
        self.refused: dict[str, int] = {}  # said of every append
        self.changed = asyncio.Event()

    def layout(self, source: str, series: Sequence[Labels]) -> Layout:
        self.layouts.append((source, [dict(labels) for labels in series]))
        return Layout(len(self.layouts) - 1, source, np.arange(len(series), dtype=np.int32))

    def append(self, rows: Sequence[Row]) -> Appended:
        if self.refusal is not None:
            raise self.refusal
        self.rows += rows
        self.changed.set()
        return Appended(sum(len(row.values) for row in rows), 0, 0, self.refused, ())

    async def commit(self) -> None:
        self.commits += 1

    def describe(self, families: Mapping[str, MetricMetadata]) -> None:
        self.metadata.update(families)

    def series_of(self, row: Row) -> list[Labels]:
        return self.layouts[row.layout.number][1]

    def samples(self, rows: Sequence[Row] | None = None) -> dict[LabelPairs, list[tuple[int, float]]]:
        """Every sample by series, in order."""
        found: dict[LabelPairs, list[tuple[int, float]]] = {}
        for row in self.rows if rows is None else rows:
            absent = is_absent(row.values)
            for at, labels in enumerate(self.series_of(row)):
                if not absent[at]:
                    found.setdefault(label_pairs(labels), []).append((row.time_ms, float(row.values[at])))
        return found

    def last(self) -> dict[str, float]:
        """The newest row, by metric name and the labels besides job and instance."""
        return {
            name_of(labels): float(value)
            for labels, value in zip(self.series_of(self.rows[-1]), self.rows[-1].values, strict=True)
        }


def name_of(labels: Labels) -> str:
    rest = {name: value for name, value in labels.items() if name not in ("__name__", "job", "instance") and value}
    inside = ",".join(f'{name}="{value}"' for name, value in sorted(rest.items()))
    return labels["__name__"] + (f"{{{inside}}}" if inside else "")


def make_loop(
    writer: Any,
    fetch: Fetch,
    *,
    found: Labels | None = None,
    clock: Any = None,
    exemplars: ExemplarWriter | None = None,
    **config: Any,
) -> TargetLoop:
    """A target's loop as the scraper would make it."""
    whole = complete(ScrapeConfig.model_validate({"job_name": "test", **config}), GlobalConfig())
    _, target = make_target(whole, Relabel.of(whole.relabel_configs), found or {"__address__": "host:80"})
    assert target is not None
    loop = TargetLoop(target, writer, clock or SystemClock(), ScrapeSettings(), asyncio.Semaphore(10), exemplars)
    loop.use(whole, Relabel.of(whole.metric_relabel_configs), fetch)
    return loop


@pytest.fixture
def writer() -> RecordingWriter:
    return RecordingWriter()


class BodyServer(ThreadingHTTPServer):
    """Answers each path with what `answers` says: a body with its content type, or a function over the handler."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, tuple[bytes, str] | Callable[[BaseHTTPRequestHandler], None]] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.address = f"127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # clients that go away in the middle are part of the tests


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: BodyServer

    def do_GET(self) -> None:
        self.server.requests.append((self.path, dict(self.headers)))
        answer = self.server.answers.get(self.path.partition("?")[0])
        if callable(answer):
            answer(self)
        elif answer is None:
            self.send_error(404)
        else:
            body, kind = answer
            self.send_response(200)
            if kind:
                self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_error(404)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[BodyServer]:
    running = BodyServer()
    thread = threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


@pytest.fixture
def real_prometheus(tmp_path: Path) -> Iterator[Callable[..., RealPrometheus]]:
    if not (PEERS / "prometheus").exists():
        pytest.skip(f"no real Prometheus in {PEERS}: run make test's set-up")
    started: list[RealPrometheus] = []

    def start(config: str, *flags: str) -> RealPrometheus:
        started.append(RealPrometheus(tmp_path, config, *flags))
        return started[-1]

    yield start
    for one in started:
        one.stop()
