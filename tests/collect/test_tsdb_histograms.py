"""Native histograms of a real Prometheus' data directory, from its log and from blocks: the same answers."""

from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import cramjam
import numpy as np
import orjson
import pytest
from tests.collect.test_tsdb import answers, invoke
from tests.peers import PEERS, RealPrometheus
from tests.query.promql.histogram_peer import ROWS, STEP_MS, series, write_body

from watchkeeper.model.errors import BadInput
from watchkeeper.model.histogram import Histogram, to_spans
from watchkeeper.net.histogram_chunk import read_chunk
from watchkeeper.net.protobuf import double_field, field, number_field, varint, zigzag

FLAGS = (
    "--web.enable-remote-write-receiver",
    "--web.enable-admin-api",
    "--storage.tsdb.retention.time=100y",
    "--enable-feature=native-histograms",
)
NAMES = (
    *("latency_seconds", "gappy_seconds", "queue_size", "changing", "either", "custom_seconds", "turning"),
    *("unknown_seconds", "nothing", "requests_total", "whole_seconds", "whole_custom"),
)
QUERIES = (
    *NAMES,
    "rate(latency_seconds[5m])",
    "histogram_quantile(0.9, sum by (job) (rate(whole_seconds[5m])))",
    "sum(histogram_count(custom_seconds))",
    "count_over_time(gappy_seconds[10m])",
)


def _integers(of: dict[Any, list[Any]], name: str, renamed: str) -> dict[Any, list[Any]]:
    return {
        tuple(sorted({**dict(key), "__name__": renamed}.items())): points
        for key, points in of.items()
        if dict(key)["__name__"] == name
    }


def _message(time_ms: int, one: Histogram) -> bytes:
    """Give a histogram of integers as remote write has it: counts as differences within a side."""

    def side(spans_at: int, deltas_at: int, found: Any) -> bytes:
        spans = b"".join(
            field(spans_at, number_field(1, zigzag(offset)) + number_field(2, length))
            for offset, length in to_spans(found)
        )
        deltas = np.diff(found.counts.astype(np.int64), prepend=0).tolist()
        return spans + (field(deltas_at, b"".join(varint(zigzag(one)) for one in deltas)) if deltas else b"")

    parts = [
        number_field(1, int(one.count)) + double_field(3, one.sum) + number_field(4, zigzag(one.schema)),
        double_field(5, one.zero_threshold) + number_field(6, int(one.zero_count)),
        side(8, 9, one.negative) + side(11, 12, one.positive),
        number_field(14, int(one.hint)) + number_field(15, time_ms),
        field(16, one.bounds.tobytes()) if one.custom else b"",
    ]
    return b"".join(parts)


def _body_of_integers(made: dict[Any, list[Any]], row: int) -> bytes:
    message = b""
    for key, points in made.items():
        labels = b"".join(field(1, field(1, name.encode()) + field(2, text.encode())) for name, text in key)
        message += field(1, labels + b"".join(field(4, _message(*one)) for one in points[row : row + 1]))
    return bytes(cramjam.snappy.compress_raw(message))


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, Any], list[dict[str, str]]]:
    """A data directory whose samples are in the log, a snapshot of it, which is blocks, and the answers."""
    if not (PEERS / "prometheus").exists():
        pytest.skip(f"no real Prometheus in {PEERS}: run make test's set-up")
    folder = tmp_path_factory.mktemp("peer")
    peer = RealPrometheus(folder, "global: {}\n", *FLAGS)
    made = series()
    whole = _integers(made, "latency_seconds", "whole_seconds") | _integers(made, "custom_seconds", "whole_custom")
    first = min(points[0][0] for points in made.values())
    end = first + (ROWS + 8) * STEP_MS
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
    try:
        for row in range(ROWS):
            for body in (write_body(made, slice(row, row + 1)), _body_of_integers(whole, row)):
                urlopen(Request(f"{peer.url}/api/v1/write", body, headers), timeout=10).close()
        spans = [
            {"query": query, "start": str(first / 1000), "end": str(end / 1000), "step": "47"} for query in QUERIES
        ]
        told = {one["query"]: peer.get("/api/v1/query_range", **one) for one in spans}
        request = Request(f"{peer.url}/api/v1/admin/tsdb/snapshot", method="POST")
        with urlopen(request, timeout=30) as answer:
            name = orjson.loads(answer.read())["data"]["name"]
    finally:
        peer.stop()
    return folder / "data", folder / "data/snapshots" / name, told, spans


@pytest.mark.peer
@pytest.mark.parametrize("which", [0, 1], ids=["log", "blocks"])
def test_histograms_of_a_real_prometheus_answer_the_same(
    which: int, theirs: tuple[Path, Path, dict[str, Any], list[dict[str, str]]], tmp_path: Path
) -> None:
    *folders, told, spans = theirs
    for _ in range(2):  # a second time adds nothing
        outcome = invoke("prometheus", str(folders[which]), "--data", str(tmp_path))
        assert outcome.return_value == 0, outcome.output
    assert "left out" not in outcome.output
    for one, ours in zip(spans, answers(tmp_path, spans), strict=True):
        want = told[one["query"]]["result"]
        assert want, one["query"]
        assert _without_last_digits(ours["result"]) == _without_last_digits(want), one["query"]


def _without_last_digits(value: Any) -> Any:
    """Round what the order of additions may change."""
    if isinstance(value, list):
        return [_without_last_digits(one) for one in value]
    if isinstance(value, dict):
        return {key: _without_last_digits(one) for key, one in value.items()}
    try:
        return f"{float(value):.11g}"
    except (TypeError, ValueError):
        return value


def test_a_chunk_that_is_cut_off_is_refused() -> None:
    for data in (b"", b"\x00\x02\x00", b"\x00\x02\x00\xff\x00"):
        with pytest.raises(BadInput, match="cut off"):
            list(read_chunk(data, floats=False))
