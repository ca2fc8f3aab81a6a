"""Remote write 2.0: the same samples come out as from 1.0, and what only 2.0 carries."""

import asyncio
import contextlib
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.collect.conftest import RecordingWriter
from tests.collect.test_remote_write import NOW_MS, ONE, target
from tests.system.remote_write import Symbols

from watchkeeper.collect.remote_write import VERSION_2, Received, RemoteWrite
from watchkeeper.model.errors import BadInput
from watchkeeper.model.exemplar import Exemplar
from watchkeeper.model.frame import STALE, MetricMetadata
from watchkeeper.model.labels import Labels, label_pairs
from watchkeeper.net.protobuf import field, varint


class RecordingExemplars:
    def __init__(self) -> None:
        self.kept: list[tuple[Labels, Exemplar]] = []

    def add(self, exemplars: Sequence[tuple[Labels, Exemplar]]) -> int:
        self.kept += exemplars
        return len(exemplars)


def receive(writer: RecordingWriter, *bodies: bytes, exemplars: RecordingExemplars | None = None) -> list[Received]:
    async def run() -> list[Received]:
        remote = RemoteWrite(writer, exemplars=exemplars)
        return [await remote.receive(body, VERSION_2) for body in bodies]

    return asyncio.run(run())


def test_series_share_one_table_of_strings(writer: RecordingWriter) -> None:
    request = Symbols()
    for at, labels in enumerate(target(400)):
        request.add(labels, [(NOW_MS, float(at))], created_ms=NOW_MS - 5)
    (received,) = receive(writer, request.body())
    assert received == Received(400, {}, ())
    (row,) = writer.rows
    assert writer.series_of(row) == target(400)
    assert row.values.tolist() == [float(at) for at in range(400)]


def test_a_shape_that_comes_again_is_read_by_its_layout(writer: RecordingWriter) -> None:
    bodies = []
    for turn in range(4):
        request = Symbols()
        for at, labels in enumerate(target(50)):
            request.add(labels, [(NOW_MS + turn, at * turn + 0.5)], said=MetricMetadata("gauge", "help"))
        bodies.append(request.body())
    receive(writer, *bodies)
    assert len(writer.layouts) == 1
    assert [row.values[7] for row in writer.rows] == [0.5, 7.5, 14.5, 21.5]
    assert [row.time_ms for row in writer.rows] == [NOW_MS + turn for turn in range(4)]


def test_metadata_of_series_becomes_metadata_of_families(writer: RecordingWriter) -> None:
    request = Symbols()
    for name in ("latency_seconds_bucket", "latency_seconds_sum"):
        labels = {"__name__": name, "A": "sorts before the name"}
        request.add(labels, [(NOW_MS, 1.0)], said=MetricMetadata("histogram", "how long", "seconds"))
    request.add({"__name__": "jobs_total"}, [(NOW_MS, 1.0)], said=MetricMetadata("counter", ""))
    request.add({"__name__": "plain"}, [(NOW_MS, 1.0)])
    receive(writer, request.body())
    assert writer.metadata == {
        "latency_seconds": MetricMetadata("histogram", "how long", "seconds"),
        "jobs_total": MetricMetadata("counter", ""),
    }


def test_exemplars_go_to_their_store_with_their_series(writer: RecordingWriter) -> None:
    exemplars, request = RecordingExemplars(), Symbols()
    labels = target(2)
    request.add(labels[0], [(NOW_MS, 1.0)])
    request.add(labels[0], exemplars=[Exemplar({"trace_id": "é"}, 0.0, NOW_MS - 3), Exemplar({}, 2.0, 0)])
    request.add(labels[1], [(NOW_MS, 2.0)])
    (received,) = receive(writer, request.body(), exemplars=exemplars)
    assert (received.stored, received.exemplars) == (2, 2)
    first, second = exemplars.kept
    assert first == (labels[0], Exemplar({"trace_id": "é"}, 0.0, NOW_MS - 3, timed=True))
    assert second[1] == Exemplar({}, 2.0, 0, timed=False)


def test_references_outside_the_table_cost_their_series_alone(writer: RecordingWriter) -> None:
    request = Symbols()
    for labels in target(3):
        request.add(labels, [(NOW_MS, 1.0)])
    good = request.series[1]
    refs = good.index(b"\x12\x10")
    for bad in (b"\x01\x7f", b"\x01", b"\x01\xff\xff\xff\xff\x0f"):
        request.series[1] = field(1, bad) + good[refs:]
        (received,) = receive(writer, request.body())
        assert received.stored == 2
        assert "labelRefs" in next(iter(received.refused))


def test_nan_payloads_survive(writer: RecordingWriter) -> None:
    request = Symbols()
    for labels in target(2):
        request.add(labels, [(NOW_MS, float(STALE))])
    request.add(target(3)[2], [(NOW_MS, 1.0), (NOW_MS + 1, float(STALE))])
    receive(writer, request.body())
    bits = [row.values.view("u8").tolist() for row in writer.rows]
    assert all(bits[0][at] == 0x7FF0000000000002 for at in (0, 1))
    assert bits[1][2] == 0x7FF0000000000002


def test_label_references_need_not_be_packed(writer: RecordingWriter) -> None:
    request = Symbols()
    numbers = [request.ref(text) for text in ("__name__", "x")]
    sample = field(2, b"\x09" + bytes(8) + b"\x10" + varint(NOW_MS))
    request.series.append(b"".join(b"\x08" + varint(number) for number in numbers) + sample)
    receive(writer, request.body())
    assert writer.series_of(writer.rows[0]) == [{"__name__": "x"}]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(ONE, max_size=6), max_size=3))
def test_all_ways_through_say_what_a_plain_loop_says(
    requests: list[list[tuple[dict[str, str], list[tuple[float, int]]]]],
) -> None:
    bodies = []
    for request in requests:
        symbols = Symbols()
        for labels, samples in request:
            symbols.add(labels, [(time_ms, value) for value, time_ms in samples])
        bodies.append(symbols.body())
    writer = RecordingWriter()
    receive(writer, *bodies, *bodies)
    want = sorted(
        (label_pairs(labels), time_ms, value)
        for request in [*requests, *requests]
        for labels, samples in request
        if labels.get("__name__")
        for value, time_ms in samples
    )
    assert sorted((key, *one) for key, found in writer.samples().items() for one in found) == want


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 900), st.integers(0, 255))
def test_damaged_requests_raise_nothing_but_bad_input(junk: bytes, at: int, byte: int) -> None:
    request = Symbols()
    for labels in target(8):
        request.add(labels, [(NOW_MS, 1.0)], said=MetricMetadata("gauge", "x"))
    good = bytearray(request.body())
    good[at % len(good)] = byte
    for body in (junk, bytes(good)):
        with contextlib.suppress(BadInput):
            receive(RecordingWriter(), body)


def test_a_request_of_version_1_is_no_request_of_version_2(writer: RecordingWriter) -> None:
    with pytest.raises(BadInput, match=r"want io.prometheus.write.v2.Request"):
        receive(writer, field(5, b"\x0a\x05"))
