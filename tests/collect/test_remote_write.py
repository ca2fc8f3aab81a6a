import asyncio
import contextlib
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.collect.conftest import RecordingWriter

from watchkeeper.collect.histogram_wire import read_histogram
from watchkeeper.collect.remote_write import Received, RemoteWrite, RemoteWriteSettings
from watchkeeper.model.errors import BadInput, Refused
from watchkeeper.model.frame import STALE_BITS, histogram_numbers, is_histogram
from watchkeeper.model.histogram import Hint, Histogram, buckets
from watchkeeper.model.labels import label_pairs
from watchkeeper.net.protobuf import double_field, field, number_field, varint, zigzag

NOW_MS = 1_790_000_000_000
Samples = Sequence[tuple[float, int]]


def label(name: str | bytes, value: str | bytes) -> bytes:
    parts = [part if isinstance(part, bytes) else part.encode() for part in (name, value)]
    return field(1, b"".join(field(at, part) for at, part in enumerate(parts, 1) if part))


def sample(value: float, time_ms: int) -> bytes:
    return field(2, double_field(1, value) + number_field(2, time_ms))


def series(labels: Mapping[str, str], samples: Samples) -> bytes:
    pairs = b"".join(label(name, value) for name, value in sorted(labels.items()))
    return field(1, pairs + b"".join(sample(*one) for one in samples))


def receive(writer: RecordingWriter, *bodies: bytes, **limits: int) -> list[Received]:
    async def run() -> list[Received]:
        remote = RemoteWrite(writer, RemoteWriteSettings(**limits))
        return [await remote.receive(body) for body in bodies]

    return asyncio.run(run())


def target(count: int, job: str = "j", instance: str = "i") -> list[dict[str, str]]:
    return [{"__name__": f"m{at}", "instance": instance, "job": job} for at in range(count)]


def test_series_of_one_target_become_one_row(writer: RecordingWriter) -> None:
    body = b"".join(series(labels, [(float(at), NOW_MS)]) for at, labels in enumerate(target(5)))
    (received,) = receive(writer, body)
    assert received == Received(5, {}, ())
    assert [(row.layout.source, row.time_ms, row.values.tolist()) for row in writer.rows] == [
        ("write/j/i", NOW_MS, [0.0, 1.0, 2.0, 3.0, 4.0])
    ]
    assert writer.commits == 1


def test_the_same_shape_again_needs_no_new_layout(writer: RecordingWriter) -> None:
    bodies = [
        b"".join(series(labels, [(at + 0.5 + turn, NOW_MS + turn)]) for at, labels in enumerate(target(50)))
        for turn in range(3)
    ]
    receive(writer, *bodies)
    assert len(writer.layouts) == 1
    assert [row.values[7] for row in writer.rows] == [7.5, 8.5, 9.5]
    assert [row.time_ms for row in writer.rows] == [NOW_MS, NOW_MS + 1, NOW_MS + 2]


def test_targets_and_times_are_told_apart(writer: RecordingWriter) -> None:
    body = b"".join(
        series(labels, [(1.0, NOW_MS), (2.0, NOW_MS + 1000)]) for job in "ab" for labels in target(3, job=job)
    )
    receive(writer, body)
    assert [(row.layout.source, row.time_ms) for row in writer.rows] == [
        ("write/a/i", NOW_MS),
        ("write/a/i", NOW_MS + 1000),
        ("write/b/i", NOW_MS),
        ("write/b/i", NOW_MS + 1000),
    ]


def test_the_layout_is_kept_when_times_differ_this_time(writer: RecordingWriter) -> None:
    same = b"".join(series(labels, [(1.0, NOW_MS)]) for labels in target(4))
    other = b"".join(series(labels, [(1.0, NOW_MS + 1 + at)]) for at, labels in enumerate(target(4)))
    receive(writer, same, same, other)
    samples = writer.samples(writer.rows[2:])
    assert [samples[label_pairs(labels)] for labels in target(4)] == [[(NOW_MS + 1 + at, 1.0)] for at in range(4)]


def test_nan_payloads_survive_bit_by_bit_but_for_those_that_mean_something_here(writer: RecordingWriter) -> None:
    bits = [STALE_BITS, 0x7FF8000000000001, 0x7FF8000000001234, 0x7FF0000000000057, 0x7FF4000000000000, 1 << 63, 1]
    values = np.array(bits, np.uint64).view(np.float64)
    body = b"".join(
        field(
            1,
            b"".join(label(*pair) for pair in sorted(labels.items()))
            + field(2, b"\x09" + raw.tobytes() + b"\x10" + varint(NOW_MS)),
        )
        for labels, raw in zip(target(len(bits)), values, strict=True)
    )
    receive(writer, body, body)
    want = [*bits]
    want[3] = want[4] = 0x7FF8000000000001  # no sample, and a native histogram, to us
    for row in writer.rows:
        assert row.values.view(np.uint64).tolist() == want


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (label("__name__", "x") + label("a", "1") + label("a", "2"), "duplicate label name 'a'"),
        (label("a", "1"), "missing metric name (__name__ label)"),
        (b"", "missing metric name (__name__ label)"),
        (label("__name__", "x") + label("a", "n\0l"), "invalid label: empty name or NUL"),
        (label("__name__", "x") + label("a", b"\xff"), "invalid UTF-8 in a label"),
        (label("__name__", "x") + label("a", "y" * 40_000), "label name or value too long"),
        (label("__name__", "x") + label("n" * 2000, "y"), "label name or value too long"),
        (
            label("__name__", "x") + b"".join(label(f"l{at}", "y") for at in range(300)),
            "labels_max: got 301 labels, want at most 200",
        ),
    ],
)
def test_a_bad_series_is_refused_alone(writer: RecordingWriter, bad: bytes, reason: str) -> None:
    good = b"".join(series(labels, [(1.0, NOW_MS)]) for labels in target(3))
    received = receive(writer, good + field(1, bad + sample(9.0, NOW_MS)) + good.replace(b"m1", b"n1"))
    assert received[0].stored == 6
    assert received[0].refused == {reason: 1}
    assert "1 of 7 samples refused" in received[0].complaint
    assert 9.0 not in np.concatenate([row.values for row in writer.rows])


def test_empty_labels_are_no_labels_and_order_does_not_matter(writer: RecordingWriter) -> None:
    body = field(1, label("job", "j") + label("empty", "") + label("__name__", "x") + sample(1.0, NOW_MS))
    receive(writer, body)
    assert writer.series_of(writer.rows[0]) == [{"job": "j", "__name__": "x"}]


def test_a_series_named_twice_keeps_both_for_the_store_to_judge(writer: RecordingWriter) -> None:
    one = target(1)[0]
    receive(writer, series(one, [(1.0, NOW_MS)]) + series(one, [(2.0, NOW_MS)]))
    assert [row.values.tolist() for row in writer.rows] == [[1.0], [2.0]]


def test_metadata_is_kept(writer: RecordingWriter) -> None:
    said = b"\x08\x01" + field(2, b"m0_total") + field(4, b"help text") + field(5, b"seconds")
    receive(writer, field(3, said))
    assert writer.metadata["m0_total"].type == "counter"
    assert (writer.metadata["m0_total"].help, writer.metadata["m0_total"].unit) == ("help text", "seconds")


def native(time_ms: int, *, count: int = 11, hint: int = 0, schema: int = 1, total: float = 18.4) -> bytes:
    """Give the field of a histogram of integers: 11 observations, 2 of them about 0."""
    side = field(11, number_field(2, 2)) + field(11, number_field(1, zigzag(1)) + number_field(2, 2))
    deltas = field(12, b"".join(varint(zigzag(delta)) for delta in (1, 2, -1, 1)))
    return field(
        4,
        number_field(1, count)
        + double_field(3, total)
        + number_field(4, zigzag(schema))
        + double_field(5, 0.001)
        + number_field(6, 2)
        + side
        + deltas
        + number_field(14, hint)
        + number_field(15, time_ms),
    )


def histograms_of(writer: RecordingWriter) -> list[Histogram]:
    return [
        row.histograms[number]
        for row in writer.rows
        for number in histogram_numbers(row.values[is_histogram(row.values)]).tolist()
    ]


def test_native_histograms_are_samples(writer: RecordingWriter) -> None:
    body = field(1, label("__name__", "x") + native(NOW_MS) + native(NOW_MS + 1, hint=3))
    (received,) = receive(writer, body + series({"__name__": "y"}, [(1.0, NOW_MS)]))
    assert (received.stored, received.histograms, received.refused) == (1, 2, {})
    side = buckets(np.array([0, 1, 3, 4]), np.array([1.0, 3, 2, 3]))
    want = Histogram(11, 18.4, 1, 0.001, 2, side)
    assert histograms_of(writer) == [want, want]
    assert [one.hint for one in histograms_of(writer)] == [Hint.UNKNOWN, Hint.GAUGE]


def test_an_ended_histogram_is_a_staleness_marker(writer: RecordingWriter) -> None:
    stale = b"\x19" + np.uint64(STALE_BITS).tobytes() + number_field(15, NOW_MS)
    receive(writer, field(1, label("__name__", "x") + field(4, stale)))
    assert [row.values.view(np.uint64).tolist() for row in writer.rows] == [[STALE_BITS]]


def test_a_histogram_that_is_none_is_refused_alone_in_the_words_of_prometheus(writer: RecordingWriter) -> None:
    wrong = field(1, label("__name__", "x") + native(NOW_MS, count=13))
    negative = field(4, number_field(1, 1) + field(11, number_field(2, 1)) + field(12, varint(zigzag(-1))))
    gaps = field(4, field(11, number_field(2, 5)) + field(12, varint(zigzag(1))))
    (received,) = receive(
        writer,
        wrong
        + field(1, label("__name__", "y") + negative)
        + field(1, label("__name__", "z") + gaps)
        + field(1, label("__name__", "schema") + native(NOW_MS, schema=9))
        + field(1, label("__name__", "good") + native(NOW_MS)),
    )
    assert received.histograms == 1 and len(histograms_of(writer)) == 1
    negative_bucket = "positive side: bucket number 1 has observation count of -1: histogram has a bucket whose"
    mismatch = "11 observations found in buckets, but the Count field is 13: histogram's observation count should equal"
    assert set(received.refused) == {
        f"{mismatch} the number of observations found in the buckets (in absence of NaN)",
        f"{negative_bucket} observation count is negative",
        "spans need 5 buckets, have 1 buckets: histogram spans specify different number of buckets than provided",
        "got histogram schema 9, want -4 … 8 or -53",
    }


def test_a_histogram_of_too_many_buckets_is_refused(writer: RecordingWriter) -> None:
    (received,) = receive(writer, field(1, label("__name__", "x") + native(NOW_MS)), histogram_buckets_max=3)
    assert list(received.refused) == ["histogram_buckets_max: got 4, want at most 3"]


@given(st.binary(max_size=60))
def test_any_bytes_of_a_histogram_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(BadInput):
        read_histogram(data, 1000)


def test_what_the_store_refuses_is_not_told_as_stored(writer: RecordingWriter) -> None:
    writer.refused = {"out of order sample": 2, "out of bounds": 1}
    body = b"".join(series(labels, [(1.0, NOW_MS)]) for labels in target(10))
    (received,) = receive(writer, body)
    assert (received.stored, received.refused) == (7, writer.refused)
    assert received.complaint.startswith("3 of 10 samples refused")


def test_nothing_is_stored_when_the_store_refuses(writer: RecordingWriter) -> None:
    writer.refusal = Refused("disk full")
    with pytest.raises(Refused):
        receive(writer, series(target(1)[0], [(1.0, NOW_MS)]))
    assert writer.commits == 0


@pytest.mark.parametrize(
    "body",
    [
        b"\x0a",
        b"\x0a\xff",
        b"\xff" * 12,
        b"\x0b\x0c",
        b"\x0a\x05abc",
        b"\x08\x80",
        b"\x0a\x02\x12\x05",
        b"\x0a\x04\x12\x02\x09\x00",
        b"\x00\x00",
    ],
)
def test_garbage_is_refused_with_the_place(writer: RecordingWriter, body: bytes) -> None:
    with pytest.raises(BadInput, match="at byte"):
        receive(writer, body)
    assert not writer.rows


def test_unknown_fields_are_skipped(writer: RecordingWriter) -> None:
    inner = label("__name__", "x") + sample(1.0, NOW_MS) + field(99, b"new") + b"\xb8\x06\x01"
    receive(writer, field(50, b"x") + field(1, inner) + b"\x99\x06" + bytes(8))
    assert [row.values.tolist() for row in writer.rows] == [[1.0]]


def test_memory_of_series_is_bounded(writer: RecordingWriter) -> None:
    bodies = [
        b"".join(series(labels, [(1.0, NOW_MS + turn)]) for labels in target(10, job=f"j{turn}")) for turn in range(20)
    ]
    assert [one.stored for one in receive(writer, *bodies, known_series_max=25)] == [10] * 20


LABELS = st.dictionaries(st.sampled_from(["__name__", "job", "instance", "a"]), st.sampled_from(["", "x", "y"]))
ONE = st.tuples(
    LABELS,
    st.lists(
        st.tuples(st.sampled_from([0.0, 1.5, float("inf")]), st.sampled_from([NOW_MS, NOW_MS + 1, 5])), max_size=2
    ),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(ONE, max_size=6), max_size=4))
def test_all_ways_through_say_what_a_plain_loop_says(
    requests: list[list[tuple[dict[str, str], list[tuple[float, int]]]]],
) -> None:
    bodies = [b"".join(series(labels, samples) for labels, samples in request) for request in requests]
    writer = RecordingWriter()
    receive(writer, *bodies, *bodies)
    want = sorted(
        (label_pairs(labels), time_ms, value)
        for request in [*requests, *requests]
        for labels, samples in request
        if labels.get("__name__")
        for value, time_ms in samples
    )
    got = sorted((key, *one) for key, found in writer.samples().items() for one in found)
    assert got == want


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 255))
def test_damaged_requests_raise_nothing_but_bad_input(junk: bytes, at: int, byte: int) -> None:
    good = bytearray(b"".join(series(labels, [(1.0, NOW_MS)]) for labels in target(8)))
    good[at % len(good)] = byte
    for body in (junk, bytes(good)):
        with contextlib.suppress(BadInput):
            receive(RecordingWriter(), body)
