"""A real Prometheus' data directory, imported: the same queries have the same answers."""

import asyncio
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import numpy as np
import orjson
import pytest
from click.testing import CliRunner, Result
from tests.net.judges.asgi import Client
from tests.peers import PEERS, RealPrometheus
from tests.system.remote_write import write_request

from watchkeeper.api import prometheus
from watchkeeper.api.queries import queries_of
from watchkeeper.app.commands.move import import_
from watchkeeper.collect.tsdb.block import Block, find_blocks
from watchkeeper.collect.tsdb.varints import all_uvarints, uvarint
from watchkeeper.model.clock import SystemClock
from watchkeeper.model.errors import BadInput
from watchkeeper.net.app import build_app
from watchkeeper.net.auth import OpenDoor
from watchkeeper.net.settings import NetSettings
from watchkeeper.query.promql.engine import Engine
from watchkeeper.store.files import RealFiles
from watchkeeper.store.metrics.db import MetricDb
from watchkeeper.store.settings import MetricSettings

BOUNDS = ("0.1", "0.5", "1", "5", "10", "+Inf")
STEP_MS, ROWS = 60_000, 1440
QUERIES = (
    "sum by (instance) (rate(a_total[15m]))",
    'b{at=~"[0-4]"}',
    "count_over_time(a_total[1h])",
    "deriv(b[30m]) > 0",
    "histogram_quantile(0.9, sum by (le) (rate(h_bucket[10m])))",
    "recent",
    'count({job="j"})',
    "own_times",
)
FLAGS = (
    "--web.enable-remote-write-receiver",
    "--web.enable-admin-api",
    "--storage.tsdb.retention.time=10y",
    "--storage.tsdb.max-block-duration=2h",
)


def page(start_ms: int) -> str:
    """A day of three targets, with gaps, resets, NaN and infinities."""
    chance = np.random.default_rng(3)
    lines = []
    for name in ("a_total", "b", "h_bucket", "own_times"):
        for target in range(3):
            for at in range(1 if name == "own_times" else 6):
                own = f'le="{BOUNDS[at]}"' if name == "h_bucket" else f'at="{at}"'
                labels = f'{own},instance="i{target}",job="j"'
                values = np.cumsum(chance.integers(0, 9, ROWS)) * (at + 1) / (1 if name == "b" else 4)
                if name == "a_total":
                    values[ROWS // 2 :] -= values[ROWS // 2]
                texts = [f"{value:g}" for value in values.tolist()]
                if name != "h_bucket":
                    texts[5], texts[6] = "NaN", "+Inf"
                skip = chance.random(ROWS) < 0.05
                shift = target * 100 + (chance.integers(0, 50_000, ROWS) if name == "own_times" else 0)
                times = (start_ms + np.arange(ROWS) * STEP_MS + shift).tolist()
                lines += [
                    f"{name}{{{labels}}} {text} {time / 1000:.3f}\n"
                    for text, time, left_out in zip(texts, times, skip.tolist(), strict=True)
                    if not left_out
                ]
    return "".join(lines) + "# EOF\n"


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], int]:
    """A data directory with blocks, tombstones and a log, and what its Prometheus answered."""
    if not (PEERS / "prometheus").exists():
        pytest.skip(f"no real Prometheus in {PEERS}: run make test's set-up")
    folder = tmp_path_factory.mktemp("peer")
    now_ms = SystemClock().now_ms()
    start_ms = now_ms - (ROWS + 300) * STEP_MS
    (folder / "old.om").write_text(page(start_ms))
    make = [str(PEERS / "promtool"), "tsdb", "create-blocks-from", "openmetrics", "old.om", "data"]
    subprocess.run(make, cwd=folder, check=True, capture_output=True)
    peer = RealPrometheus(folder, "storage: {tsdb: {out_of_order_time_window: 30m}}\n", *FLAGS)
    try:
        points = [(now_ms - back * 15_000, back / 3) for back in range(99, 0, -1)]
        recent = [({"__name__": "recent", "job": "j", "at": str(at)}, points) for at in range(20)]
        late = [({"__name__": "recent", "job": "j", "at": "0"}, [(now_ms - 60_001, 7.5)])]
        for series in (recent, late):
            headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
            urlopen(Request(f"{peer.url}/api/v1/write", write_request(series), headers), timeout=10).close()
        gone = urlencode({"match[]": 'b{at="3"}', "start": start_ms / 1000, "end": (start_ms + 9_000_000) / 1000})
        urlopen(Request(f"{peer.url}/api/v1/admin/tsdb/delete_series?{gone}", method="POST"), timeout=10).close()
        told = {query: peer.get("/api/v1/query_range", **span(query, start_ms, now_ms)) for query in QUERIES}
    finally:
        peer.stop()
    return folder / "data", told, start_ms


def span(query: str, start_ms: int, end_ms: int) -> dict[str, str]:
    return {"query": query, "start": str(start_ms / 1000), "end": str(end_ms / 1000), "step": "171"}


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(import_, arguments, standalone_mode=False)


def answers(data: Path, spans: list[dict[str, str]]) -> list[Any]:
    async def run() -> list[Any]:
        db = MetricDb(RealFiles(data), MetricSettings(retention_ms=10**12), SystemClock())
        await db.start()
        app = build_app(prometheus.routes(queries_of(Engine(db)), db), OpenDoor("127.0.0.1:9090"), NetSettings())
        found = [await Client(app).ask("GET", f"/api/v1/query_range?{urlencode(one)}") for one in spans]
        await db.stop()
        return [orjson.loads(one.body)["data"] for one in found]

    return asyncio.run(run())


def assert_alike(ours: list[Any], theirs: list[Any], query: str) -> None:
    """The same series and times; the same values but for the order in which floats are summed up."""
    assert [one["metric"] for one in ours] == [one["metric"] for one in theirs], query
    for one, other in zip(ours, theirs, strict=True):
        assert [time for time, _ in one["values"]] == [time for time, _ in other["values"]], query
        got, want = (np.array([value for _, value in each["values"]], np.float64) for each in (one, other))
        np.testing.assert_allclose(got, want, rtol=1e-12, err_msg=query)


@pytest.mark.peer
def test_a_day_of_a_real_prometheus_answers_the_same(theirs: tuple[Path, dict[str, Any], int], tmp_path: Path) -> None:
    folder, told, start_ms = theirs
    assert len(find_blocks(folder)) > 10
    for _ in range(2):  # a second time adds nothing
        outcome = invoke("prometheus", str(folder), "--data", str(tmp_path))
        assert outcome.exception is None, outcome.output
        assert outcome.return_value == 0
    assert "0 samples read, 0 written" in outcome.output
    spans = [span(query, start_ms, start_ms + (ROWS + 300) * STEP_MS) for query in told]
    for query, ours in zip(told, answers(tmp_path, spans), strict=True):
        assert told[query]["result"], query
        assert_alike(ours["result"], told[query]["result"], query)


@pytest.mark.peer
def test_an_import_may_be_narrowed(theirs: tuple[Path, dict[str, Any], int], tmp_path: Path) -> None:
    folder, _, start_ms = theirs
    command = ["prometheus", str(folder), "--data", str(tmp_path), "--match", '{__name__="b",at="2"}']
    outcome = invoke(*command)
    assert outcome.return_value == 0, outcome.output
    (count,) = answers(tmp_path, [span('count by (__name__,at) ({job="j"})', start_ms, start_ms + 10**8)])
    assert [one["metric"] for one in count["result"]] == [{"__name__": "b", "at": "2"}]


@pytest.mark.peer
def test_a_damaged_block_is_named_and_the_others_are_imported(
    theirs: tuple[Path, dict[str, Any], int], tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(theirs[0], folder)
    victim = find_blocks(folder)[2]
    chunks = bytearray((victim / "chunks/000001").read_bytes())
    chunks[len(chunks) // 2] ^= 0x40
    (victim / "chunks/000001").write_bytes(chunks)
    outcome = invoke("prometheus", str(folder), "--data", str(tmp_path / "ours"))
    assert outcome.return_value == 1
    assert "do not check out" in outcome.output
    assert "1 blocks are damaged" in outcome.output


def test_a_file_of_openmetrics_is_imported(tmp_path: Path) -> None:
    start_ms = 1_790_000_000_000
    (tmp_path / "old.om").write_text("# TYPE b gauge\n" + page(start_ms))
    outcome = invoke("openmetrics", str(tmp_path / "old.om"), "--data", str(tmp_path / "ours"))
    assert outcome.return_value == 0, outcome.output
    (rows,) = answers(tmp_path / "ours", [span("count(a_total)", start_ms + 10**6, start_ms + 10**7)])
    assert {value for _, value in rows["result"][0]["values"]} == {"18"}


@pytest.mark.parametrize(
    ("text", "fault"), [("a 1\n# EOF\n", "expected timestamp"), ("a 1 2\n", "# EOF"), ("{\n# EOF\n", "expected")]
)
def test_what_is_no_openmetrics_with_times_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "old.om").write_text(text)
    outcome = invoke("openmetrics", str(tmp_path / "old.om"), "--data", str(tmp_path / "ours"))
    assert isinstance(outcome.exception, BadInput)
    assert fault in str(outcome.exception)
    assert not list((tmp_path / "ours/metrics/blocks").glob("*"))


def test_a_folder_that_is_no_data_directory_is_refused(tmp_path: Path) -> None:
    outcome = invoke("prometheus", str(tmp_path), "--data", str(tmp_path / "ours"))
    assert "want a Prometheus' data directory" in str(outcome.exception)
    with pytest.raises(BadInput, match=r"cannot read .*meta.json"):
        Block(tmp_path)


def test_varints_at_once_are_varints_one_by_one() -> None:
    data = bytes([0, 1, 0x80, 1, 0xFF, 0xFF, 3, 0x7F]) + bytes([0xFF] * 9 + [1])
    numbers, at = [], 0
    while at < len(data):
        number, at = uvarint(data, at)
        numbers.append(number)
    assert all_uvarints(data).view(np.uint64).tolist() == numbers
    with pytest.raises(BadInput, match="cut off"):
        all_uvarints(b"\x80")
