"""Samples out of a running server and in again, bit by bit; promtool reads the file; a real Prometheus can be asked."""

import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import orjson
import pytest
from click.testing import CliRunner, Result
from tests.collect.conftest import real_prometheus  # noqa: F401 # fixture
from tests.net.test_parquet import read
from tests.peers import PEERS
from tests.system.remote_write import write_request

from watchkeeper.api import prometheus, remote_read
from watchkeeper.api.queries import queries_of
from watchkeeper.app.commands.give import export
from watchkeeper.app.commands.move import import_
from watchkeeper.app.openmetrics_text import family_of
from watchkeeper.collect.remote_read import read_stream
from watchkeeper.model.clock import SystemClock
from watchkeeper.model.errors import BadInput
from watchkeeper.model.frame import ABSENT, STALE, MetricMetadata, Row
from watchkeeper.model.matchers import Matcher
from watchkeeper.net.app import build_app
from watchkeeper.net.auth import OpenDoor
from watchkeeper.net.listener import Listener
from watchkeeper.net.settings import NetSettings
from watchkeeper.query.promql.engine import Engine
from watchkeeper.store.files import RealFiles
from watchkeeper.store.metrics.db import MetricDb
from watchkeeper.store.settings import MetricSettings

SERIES = [
    {"__name__": "jobs_total", "job": "j", "text": 'a "quoted"\\ \n é'},
    {"__name__": "h_bucket", "job": "j", "le": "0.5"},
    {"__name__": "h_bucket", "job": "j", "le": "+Inf"},
    {"__name__": "ünï", "job": "j", "a.b": "c"},
]
Samples = dict[tuple[tuple[str, str], ...], dict[int, int]]


def invoke(command: Any, *arguments: str) -> Result:
    return CliRunner().invoke(command, arguments, standalone_mode=False)


def samples(db: MetricDb) -> Samples:
    found: Samples = {}
    for part in db.select([Matcher("job", "=", "j")], 0, 1 << 60):
        for labels, row in zip(part.labels.labels(), part.values.view(np.uint64).tolist(), strict=True):
            found[tuple(labels.items())] = dict(zip(part.times.tolist(), row, strict=True))
    return found


def without_marks(found: Samples) -> Samples:
    marks = {int(mark.view(np.uint64)) for mark in (ABSENT, STALE)}
    return {key: {at: bits for at, bits in one.items() if bits not in marks} for key, one in found.items()}


@pytest.mark.peer
def test_what_is_exported_is_imported_bit_by_bit(tmp_path: Path) -> None:
    settings = NetSettings(listen="127.0.0.1:0")
    now_ms = SystemClock().now_ms()

    async def run() -> Samples:
        db = MetricDb(RealFiles(tmp_path / "ours"), MetricSettings(), SystemClock())
        await db.start()
        layout = db.layout("write/j/", SERIES)
        db.describe({"jobs": MetricMetadata("counter", "done"), "h": MetricMetadata("histogram", "")})
        odd = [1e-300, -0.0, np.inf, -np.inf, 1 / 3, 1e22, 12345678.9, STALE]
        for row in range(300):
            values = np.array([row * 1.5, ABSENT, odd[row % 8], row / 7])
            db.append([Row(layout, now_ms - 300_000 + row * 1000, values)])
        app = build_app(
            [*prometheus.routes(queries_of(Engine(db)), db), *remote_read.routes(db)],
            OpenDoor(settings.listen),
            settings,
        )
        listener = Listener(app, settings)
        await listener.start()
        url = f"http://{listener.address}"
        command = ["--match", '{job="j"}', "--url", url]
        told = await asyncio.to_thread(invoke, export, "--output", str(tmp_path / "out.om"), *command)
        assert told.return_value == 0, told.exception
        assert "863 samples of 3 metrics" in told.output
        told = await asyncio.to_thread(
            invoke, export, "--format", "parquet", "--output", str(tmp_path / "out.parquet"), *command
        )
        assert told.return_value == 0, told.exception
        kept = samples(db)
        await listener.stop()
        await db.stop()
        return kept

    before = without_marks(asyncio.run(run()))
    text = (tmp_path / "out.om").read_text()
    assert text.count("# TYPE") == 3
    assert "# TYPE jobs counter\n" in text
    assert "# TYPE h histogram\n" in text
    assert '# TYPE "ünï" unknown\n{"ünï","a.b"="c",job="j"} 0 ' in text
    told = invoke(import_, "openmetrics", str(tmp_path / "out.om"), "--data", str(tmp_path / "again"))
    assert told.return_value == 0, told.exception

    async def again() -> Samples:
        db = MetricDb(RealFiles(tmp_path / "again"), MetricSettings(), SystemClock())
        await db.start()
        kept = samples(db)
        await db.stop()
        return kept

    _, (names, labels, times, values) = read((tmp_path / "out.parquet").read_bytes())
    assert set(names) == {"jobs_total", "h_bucket", "ünï"}
    rows = sorted((name, *orjson.loads(one).items(), at) for name, one, at in zip(names, labels, times, strict=True))
    assert rows == sorted(
        (dict(key)["__name__"], *(pair for pair in key if pair[0] != "__name__"), at)
        for key, one in before.items()
        for at in one
    )
    assert len(values) == 863
    after = without_marks(asyncio.run(again()))
    assert after == {key: one for key, one in before.items() if one}
    if (PEERS / "promtool").exists():
        make = [str(PEERS / "promtool"), "tsdb", "create-blocks-from", "openmetrics", "out.om", "theirs"]
        subprocess.run(make, cwd=tmp_path, check=True, capture_output=True)


@pytest.mark.peer
def test_a_real_prometheus_can_be_asked(
    real_prometheus: Callable[..., Any],  # noqa: F811 # the fixture
    tmp_path: Path,
) -> None:
    peer = real_prometheus("global: {}\n", "--web.enable-remote-write-receiver")
    now_ms = SystemClock().now_ms()
    points = [(now_ms - back * 1000, back / 3) for back in range(400, 0, -1)]
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
    body = write_request([({"__name__": name, "job": "j"}, points) for name in ("a", "b")])
    urlopen(Request(f"{peer.url}/api/v1/write", body, headers), timeout=10).close()
    told = invoke(export, "--output", str(tmp_path / "out.om"), "--match", '{job="j"}', "--url", peer.url)
    assert "800 samples of 2 metrics" in told.output, told.exception


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("jobs_total", ("jobs", "counter")),
        ("old_total", ("old", "counter")),
        ("h_bucket", ("h", "histogram")),
        ("s", ("s", "summary")),
        ("s_sum", ("s", "summary")),
        ("g", ("g", "gauge")),
        ("no_total_here", ("no_total_here", "unknown")),
        ("other", ("other", "unknown")),
    ],
)
def test_families_are_found_by_the_names_of_their_series(name: str, want: tuple[str, str]) -> None:
    types = {
        "jobs": "counter",
        "old_total": "counter",
        "h": "histogram",
        "s": "summary",
        "g": "gauge",
        "other": "counter",
    }
    assert family_of(name, types) == want


class Bytes:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def read(self, size: int, /) -> bytes:
        piece = self.data[self.at : self.at + size]
        self.at += len(piece)
        return piece


@pytest.mark.parametrize("stream", [b"\x05", b"\x80", b"\x01\0\0\0\0\x0a", b"\xff\xff\xff\xff\x0f"])
def test_a_stream_that_is_damaged_is_refused(stream: bytes) -> None:
    with pytest.raises(BadInput, match="cannot read remote read answer"):
        list(read_stream(Bytes(stream)))
