"""The protobuf exposition format, the one that native histograms come in.

body          MetricFamily*, each after its length
MetricFamily  1 name, 2 help, 3 type, 4 metric*, 5 unit
Metric        1 label*, 2 gauge, 3 counter, 4 summary, 5 untyped, 6 timestamp_ms, 7 histogram
Histogram     1 sample_count, 2 sample_sum, 3 bucket*, 4 sample_count_float, 5 schema, 6 zero_threshold, 7 zero_count,
              8 zero_count_float, 9 negative_span*, 10 negative_delta*, 11 negative_count*, 12 … 14 likewise positive,
              16 exemplar*
source        prometheus/client_model, io/prometheus/client/metrics.proto; Prometheus 3.5, model/textparse/protobufparse
"""

import math
from dataclasses import dataclass

from watchkeeper.collect.histogram_wire import HistogramFields, exposed_histogram, read_exposed
from watchkeeper.collect.number import format_bound
from watchkeeper.collect.sample_text import BadSeries, Body, SeriesCache, to_text
from watchkeeper.collect.write_wire import read_label
from watchkeeper.model.errors import BadInput
from watchkeeper.model.exemplar import Exemplar
from watchkeeper.model.frame import MetricMetadata
from watchkeeper.model.histogram import SCHEMA_MAX, SCHEMA_MIN, Histogram
from watchkeeper.model.labels import METRIC_NAME
from watchkeeper.net.protobuf import BYTES, FIXED64, VARINT, fields, read_double, read_varint, signed, want

_KINDS = ("counter", "gauge", "summary", "unknown", "histogram", "gaugehistogram")
_GAUGE_HISTOGRAM = 5
_Bucket = tuple[float, float, Exemplar | None]  # upper bound, cumulative count


@dataclass(frozen=True, slots=True)
class HistogramOptions:
    """What becomes of native histograms.

    classic      whether their classic buckets are taken, too
    buckets_max  resolution is given up until there are no more; 0: as they come
    factor_min   the same until neighbouring bounds are that far apart; 0: as they come
    """

    classic: bool = False
    buckets_max: int = 0
    factor_min: float = 0.0

    def bounded(self, one: Histogram) -> Histogram:
        """Give a histogram as coarse as it has to be.

        raises  BadInput when it cannot be coarse enough
        """
        if self.factor_min > 1 and not one.custom:
            finest = min(max(math.floor(-math.log2(math.log2(self.factor_min))), SCHEMA_MIN), SCHEMA_MAX)
            one = one.at_resolution(finest) if one.schema > finest else one
        while self.buckets_max and len(one.positive) + len(one.negative) > self.buckets_max:
            if one.custom or one.schema <= SCHEMA_MIN:
                raise BadInput("histogram bucket limit exceeded")
            one = one.at_resolution(one.schema - 1)
        return one


@dataclass(slots=True)
class _Family:
    name: str = ""
    help: str = ""
    kind: int = 0
    unit: str = ""


@dataclass(slots=True)
class _Metric:
    """One metric of a family; `key` names its labels, which are where `places` says, without reading them."""

    family: _Family
    key: bytes
    places: list[tuple[int, int]]
    time_ms: int | None


def parse_protobuf(body: bytes, known: SeriesCache, options: HistogramOptions) -> Body:
    """Read a body family by family.

    known   label sets seen before; new ones are added
    raises  BadBody: the body as a whole is refused then
    """
    parsed, at = Body(plain=False), 0
    with parsed.counting_faults():
        while at < len(body):
            length, start = read_varint(body, at, len(body))
            at = start + length
            if at > len(body):
                raise BadInput(f"cannot read protobuf: got a family of {length} bytes at byte {start}, want it whole")
            _Reader(parsed, body, known, options).family(start, at)
    return parsed


class _Reader:
    def __init__(self, parsed: Body, body: bytes, known: SeriesCache, options: HistogramOptions) -> None:
        self._parsed, self._body, self._known, self._options = parsed, body, known, options

    def family(self, at: int, end: int) -> None:
        """Read one MetricFamily."""
        said, metrics = _Family(), []
        for number, kind, start, stop in fields(self._body, at, end):
            if number == 4:
                want(kind, BYTES, start, "a metric")
                metrics.append((start, stop))
            elif number == 3:
                want(kind, VARINT, start, "a family's type")
                said.kind = read_varint(self._body, start, stop)[0]
            elif number in (1, 2, 5):
                want(kind, BYTES, start, f"field {number} of MetricFamily")
                part = {1: "name", 2: "help", 5: "unit"}[number]
                setattr(said, part, to_text(self._body[start:stop], part))
        if not said.name:
            raise BadInput('invalid metric name: ""')
        shown = _KINDS[said.kind] if said.kind < len(_KINDS) else "unknown"
        self._parsed.metadata[said.name] = MetricMetadata(shown, said.help, said.unit)
        for start, stop in metrics:
            self._metric(said, start, stop)

    def _metric(self, said: _Family, at: int, end: int) -> None:
        found: tuple[int, int, int] | None = None
        places, keys, time_ms = list[tuple[int, int]](), [said.name.encode()], None
        for number, kind, start, stop in fields(self._body, at, end):
            if number == 1:
                want(kind, BYTES, start, "a label")
                places.append((start, stop))
                keys.append(self._body[start:stop])
            elif number == 6:
                want(kind, VARINT, start, "a timestamp")
                time_ms = signed(read_varint(self._body, start, stop)[0]) or None
            elif number in (2, 3, 4, 5, 7):
                want(kind, BYTES, start, f"field {number} of Metric")
                found = number, start, stop
        if found is None:
            return
        metric = _Metric(said, b"\xff".join(keys), places, time_ms)
        number, start, stop = found
        if number == 7:
            self._histogram(metric, start, stop)
        elif number == 4:
            self._summary(metric, start, stop)
        else:
            self._number(metric, start, stop)

    def _number(self, metric: _Metric, at: int, end: int) -> None:
        value, exemplar = 0.0, None
        for number, kind, start, stop in fields(self._body, at, end):
            if number == 1:
                value = self._double(kind, start)
            elif number == 2 and kind == BYTES:
                exemplar = self._exemplar(start, stop)
        self._add(metric, "", value, exemplar=exemplar)

    def _summary(self, metric: _Metric, at: int, end: int) -> None:
        count, total, quantiles = 0, 0.0, []
        for number, kind, start, stop in fields(self._body, at, end):
            if number == 1:
                count = self._integer(kind, start, stop)
            elif number == 2:
                total = self._double(kind, start)
            elif number == 3:
                want(kind, BYTES, start, "a quantile")
                pair = {each: self._double(own, place) for each, own, place, _ in fields(self._body, start, stop)}
                quantiles.append((pair.get(1, 0.0), pair.get(2, 0.0)))
        self._add(metric, "_count", float(count))
        self._add(metric, "_sum", total)
        for quantile, value in quantiles:
            self._add(metric, "", value, quantile=format_bound(quantile))

    def _histogram(self, metric: _Metric, at: int, end: int) -> None:
        read = read_exposed(self._body, at, end)
        buckets, exemplars = list[_Bucket](), []
        for number, kind, start, stop in read.others:
            if number == 3:
                want(kind, BYTES, start, "a bucket")
                buckets.append(self._bucket(start, stop))
            elif number == 16 and kind == BYTES:
                exemplars.append(self._exemplar(start, stop))
        if read.is_native:
            histogram = exposed_histogram(read, gauge=metric.family.kind == _GAUGE_HISTOGRAM)
            place = self._add(metric, "", 0.0)
            self._parsed.histograms.append((place, self._options.bounded(histogram)))
            timed = [each for each in exemplars if each.timed]
            said = timed or [each for _, _, each in buckets if each is not None and each.timed]
            self._parsed.exemplars += [(place, each) for each in said]
        if not read.is_native or (self._options.classic and buckets):
            self._classic(metric, read, buckets)

    def _classic(self, metric: _Metric, read: HistogramFields, buckets: list[_Bucket]) -> None:
        count = read.count
        self._add(metric, "_count", count)
        self._add(metric, "_sum", read.doubles.get(3, 0.0))
        for bound, cumulative, exemplar in buckets:
            self._add(metric, "_bucket", cumulative, exemplar=exemplar, le=format_bound(bound))
        if not buckets or buckets[-1][0] != math.inf:
            self._add(metric, "_bucket", count, le="+Inf")

    def _bucket(self, at: int, end: int) -> _Bucket:
        bound = cumulative = 0.0
        exemplar = None
        for number, kind, start, stop in fields(self._body, at, end):
            if number == 1:
                cumulative = float(self._integer(kind, start, stop)) or cumulative
            elif number == 4:
                cumulative = self._double(kind, start) or cumulative
            elif number == 2:
                bound = self._double(kind, start)
            elif number == 3 and kind == BYTES:
                exemplar = self._exemplar(start, stop)
        return bound, cumulative, exemplar

    def _add(self, metric: _Metric, suffix: str, value: float, *, exemplar: Exemplar | None = None, **own: str) -> int:
        """Take a sample; gives its place."""
        key = b"\xfe".join((metric.key, suffix.encode(), *(text.encode() for text in own.values())))
        if key not in self._known:
            labels = dict[str, str]()
            for start, stop in metric.places:
                self._label(labels, start, stop)
            self._known.learn(key, {METRIC_NAME: metric.family.name + suffix, **labels, **own})
        self._parsed.add(key, value, metric.time_ms, 0)
        place = len(self._parsed.texts) - 1
        if exemplar is not None:
            self._parsed.exemplars.append((place, exemplar))
        return place

    def _label(self, labels: dict[str, str], at: int, end: int) -> None:
        name, value = self._pair(at, end)
        if not name:
            raise BadSeries('invalid label name: ""')
        if name in labels or name == METRIC_NAME:
            raise BadSeries(f"label name {name!r} is not unique: invalid sample")
        labels[name] = value

    def _pair(self, at: int, end: int) -> tuple[str, str]:
        name, value = read_label(self._body, at, end)
        return to_text(name, "label name"), to_text(value, "label value")

    def _exemplar(self, at: int, end: int) -> Exemplar:
        labels, value, time_ms = dict[str, str](), 0.0, None
        for number, kind, start, stop in fields(self._body, at, end):
            if number == 1 and kind == BYTES:
                name, text = self._pair(start, stop)
                labels[name] = text
            elif number == 2:
                value = self._double(kind, start)
            elif number == 3 and kind == BYTES:
                parts = {each: signed(self._integer(*part)) for each, *part in fields(self._body, start, stop)}
                time_ms = parts.get(1, 0) * 1000 + parts.get(2, 0) // 1_000_000
        return Exemplar(labels, value, time_ms or 0, timed=time_ms is not None)

    def _double(self, kind: int, start: int) -> float:
        want(kind, FIXED64, start, "a number")
        return read_double(self._body, start)

    def _integer(self, kind: int, start: int, stop: int) -> int:
        want(kind, VARINT, start, "a whole number")
        return read_varint(self._body, start, stop)[0]
