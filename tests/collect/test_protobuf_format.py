import contextlib
import math
from collections.abc import Mapping
from pathlib import Path
from urllib.request import Request, urlopen

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.peers import PEERS, RealPrometheus

from watchkeeper.collect.exposition import PROTOBUF, TEXT, Exposed, ExpositionReader
from watchkeeper.collect.fetch import accept_header, media_type
from watchkeeper.collect.protobuf_format import HistogramOptions
from watchkeeper.model.errors import BadInput
from watchkeeper.model.frame import MetricMetadata, histogram_numbers, is_histogram
from watchkeeper.model.histogram import Hint, Histogram, buckets
from watchkeeper.model.labels import label_pairs
from watchkeeper.net.protobuf import double_field, field, number_field, varint, zigzag

COUNTER, GAUGE, SUMMARY, UNTYPED, HISTOGRAM, GAUGE_HISTOGRAM = range(6)


def label(name: str, value: str) -> bytes:
    return field(1, field(1, name.encode()) + field(2, value.encode()))


def family(name: str, kind: int, *metrics: bytes, said: str = "") -> bytes:
    body = field(1, name.encode()) + (field(2, said.encode()) if said else b"") + number_field(3, kind)
    body += b"".join(field(4, metric) for metric in metrics)
    return varint(len(body)) + body


def native() -> bytes:
    """Give a histogram of 11 observations, 2 of them about 0, its classic buckets with it."""
    spans = field(12, number_field(2, 2)) + field(12, number_field(1, zigzag(1)) + number_field(2, 2))
    deltas = field(13, b"".join(varint(zigzag(delta)) for delta in (1, 2, -1, 1)))
    classic = field(3, number_field(1, 5) + double_field(2, 1.0)) + field(3, number_field(1, 11) + double_field(2, 4.0))
    head = number_field(1, 11) + double_field(2, 18.4) + number_field(5, zigzag(1)) + double_field(6, 0.001)
    return head + number_field(7, 2) + spans + deltas + classic


NATIVE = Histogram(11, 18.4, 1, 0.001, 2, buckets(np.array([0, 1, 3, 4]), np.array([1.0, 3, 2, 3])))


def read(body: bytes, **options: float) -> Exposed:
    return ExpositionReader(HistogramOptions(**options)).read(body, PROTOBUF)  # type: ignore[arg-type]


def samples(exposed: Exposed) -> dict[str, float | Histogram]:
    native = is_histogram(exposed.values)
    numbers = histogram_numbers(exposed.values)
    return {
        shown(labels): exposed.histograms[int(numbers[at])] if native[at] else float(exposed.values[at])
        for at, labels in enumerate(exposed.shape.series)
    }


def shown(labels: Mapping[str, str]) -> str:
    rest = ",".join(f'{name}="{value}"' for name, value in sorted(labels.items()) if name != "__name__")
    return labels["__name__"] + (f"{{{rest}}}" if rest else "")


def test_numbers_of_every_kind() -> None:
    quantile = field(3, double_field(1, 0.5) + double_field(2, 0.25))
    body = (
        family("hits_total", COUNTER, label("code", "200") + field(3, double_field(1, 5)), said="Hits.")
        + family("temperature", GAUGE, field(2, double_field(1, -1.5)), field(2, b"") + label("a", "é"))
        + family("seconds", SUMMARY, field(4, number_field(1, 4) + double_field(2, 2.5) + quantile))
        + family("what", UNTYPED, field(5, double_field(1, math.inf)))
        + family("size", HISTOGRAM, field(7, number_field(1, 3) + double_field(2, 6.5) + _bucket(1, 2)))
    )
    exposed = read(body)
    assert samples(exposed) == {
        'hits_total{code="200"}': 5.0,
        "temperature": -1.5,
        'temperature{a="é"}': 0.0,
        "seconds_count": 4.0,
        "seconds_sum": 2.5,
        'seconds{quantile="0.5"}': 0.25,
        "what": math.inf,
        "size_count": 3.0,
        "size_sum": 6.5,
        'size_bucket{le="1.0"}': 2.0,
        'size_bucket{le="+Inf"}': 3.0,
    }
    assert exposed.shape.metadata["hits_total"] == MetricMetadata("counter", "Hits.")
    assert exposed.shape.metadata["what"].type == "unknown"
    assert exposed.times is None and exposed.samples == 11


def _bucket(bound: float, count: int) -> bytes:
    return field(3, number_field(1, count) + double_field(2, bound))


def test_native_histograms_come_alone_or_with_their_classic_buckets() -> None:
    body = family("latency", HISTOGRAM, label("job", "x") + field(7, native()))
    assert samples(read(body)) == {'latency{job="x"}': NATIVE}
    assert samples(read(body, classic=True)) == {
        'latency{job="x"}': NATIVE,
        'latency_count{job="x"}': 11.0,
        'latency_sum{job="x"}': 18.4,
        'latency_bucket{job="x",le="1.0"}': 5.0,
        'latency_bucket{job="x",le="4.0"}': 11.0,
        'latency_bucket{job="x",le="+Inf"}': 11.0,
    }
    (gauge,) = samples(read(family("now", GAUGE_HISTOGRAM, field(7, native())))).values()
    assert isinstance(gauge, Histogram) and gauge.hint is Hint.GAUGE


def test_histograms_are_made_as_coarse_as_they_have_to_be() -> None:
    body = family("latency", HISTOGRAM, field(7, native()))
    (coarse,) = samples(read(body, buckets_max=3)).values()
    assert coarse == NATIVE.at_resolution(0)
    (coarse,) = samples(read(body, factor_min=4.0)).values()
    assert coarse == NATIVE.at_resolution(-1)
    far = b"".join(field(12, number_field(1, zigzag(gap)) + number_field(2, 1)) for gap in (-500, 900))
    deltas = field(13, varint(zigzag(1)) + varint(zigzag(0)))
    with pytest.raises(BadInput, match="histogram bucket limit exceeded"):
        read(family("far", HISTOGRAM, field(7, number_field(1, 2) + far + deltas)), buckets_max=1)


def test_times_and_exemplars() -> None:
    time = field(3, number_field(1, 1_700_000_000) + number_field(2, 5_000_000))
    exemplar = field(2, label("trace_id", "abc") + double_field(2, 0.7) + time)
    exposed = read(family("hits_total", COUNTER, field(3, double_field(1, 5) + exemplar) + number_field(6, 1234)))
    assert exposed.times is not None and exposed.times.tolist() == [1234]
    ((place, one),) = exposed.exemplars
    assert (place, one.labels, one.value, one.time_ms) == (0, {"trace_id": "abc"}, 0.7, 1_700_000_000_005)


def test_the_same_series_are_the_same_shape() -> None:
    reader = ExpositionReader()
    first, second = (
        reader.read(family("latency", HISTOGRAM, label("job", "x") + field(7, native())), PROTOBUF) for _ in range(2)
    )
    assert first.shape is second.shape


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"\x40abc", "got a family of 64 bytes"),
        (family("", GAUGE, field(2, b"")), "invalid metric name"),
        (family("a", GAUGE, label("x", "1") + label("x", "2") + field(2, b"")), "label name 'x' is not unique"),
        (family("a", HISTOGRAM, field(7, number_field(1, 9) + field(12, number_field(2, 1)))), "spans need 1 buckets"),
    ],
)
def test_a_body_that_is_none_is_refused(body: bytes, fault: str) -> None:
    with pytest.raises(BadInput, match=fault):
        read(family("good", GAUGE, field(2, double_field(1, 1))) + body)


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(BadInput):
        read(data)


def test_it_is_asked_for_and_known_by_its_content_type() -> None:
    header = accept_header(("PrometheusProto", "PrometheusText0.0.4"))
    assert header.startswith(f"{PROTOBUF};proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,text/plain")
    assert media_type(f"{PROTOBUF}; proto=io.prometheus.client.MetricFamily; encoding=delimited", None) == PROTOBUF
    assert media_type("", "PrometheusProto") == PROTOBUF


def test_a_real_prometheus_says_the_same_in_both_formats(tmp_path: Path) -> None:
    if not (PEERS / "prometheus").exists():
        pytest.fail("no Prometheus: run tools/test-servers")
    real = RealPrometheus(tmp_path, "global: {}\n")
    try:
        _metrics(real.url, "text/plain")  # which then has been asked for
        text, proto = (_metrics(real.url, accept) for accept in ("text/plain", accept_header(("PrometheusProto",))))
    finally:
        real.stop()
    assert proto[1].startswith(PROTOBUF)
    plain = ExpositionReader().read(text[0], TEXT)
    exposed = ExpositionReader(HistogramOptions(classic=True)).read(proto[0], PROTOBUF)
    native = is_histogram(exposed.values)
    numbers = {label_pairs(one) for one, is_native in zip(exposed.shape.series, native, strict=True) if not is_native}
    assert not numbers - {label_pairs(one) for one in plain.shape.series}
    without_buckets = [one for one in plain.shape.series if label_pairs(one) not in numbers]
    assert {one["__name__"].rpartition("_")[0] for one in without_buckets} == {
        "prometheus_tsdb_tombstone_cleanup_seconds"
    }
    found = samples(exposed)
    histograms = {name: one for name, one in found.items() if isinstance(one, Histogram)}
    assert any(name.startswith("prometheus_http_request_duration_seconds{") for name in histograms)
    for name, one in histograms.items():
        head, _, rest = name.partition("{")
        if head == "prometheus_tsdb_tombstone_cleanup_seconds":
            continue
        assert one.count == found[f"{head}_count" + (f"{{{rest}" if rest else "")]
    families = exposed.shape.metadata
    assert {name: said.type for name, said in plain.shape.metadata.items()} == {
        name: said.type for name, said in families.items()
    }


def _metrics(url: str, accept: str) -> tuple[bytes, str]:
    with urlopen(Request(f"{url}/metrics", headers={"Accept": accept}), timeout=5) as answer:
        return answer.read(), answer.headers["Content-Type"]
