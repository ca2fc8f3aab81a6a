"""The protobuf of a native histogram: in remote write (both versions), in remote read, in the exposition format.

Histogram  1 count (uint64), 2 count (double), 3 sum (double), 4 schema (sint32), 5 zero_threshold (double),
           6 zero_count (uint64), 7 zero_count (double), 8 negative_spans*, 9 negative_deltas* (sint64),
           10 negative_counts* (double), 11 positive_spans*, 12 positive_deltas*, 13 positive_counts*,
           14 reset_hint, 15 timestamp (int64, Unix ms), 16 custom_values* (double)
BucketSpan 1 offset (sint32), 2 length (uint32)
source     Prometheus 3.5, prompb/types.proto and model/histogram, Validate
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from watchkeeper.model.errors import BadInput, OverLimit
from watchkeeper.model.frame import STALE_BITS, Floats
from watchkeeper.model.histogram import CUSTOM_BUCKETS, SCHEMA_MAX, SCHEMA_MIN, Buckets, Hint, Histogram, from_spans
from watchkeeper.net.protobuf import (
    BYTES,
    FIXED64,
    VARINT,
    fields,
    read_double,
    read_numbers,
    read_varint,
    signed,
    unzigzag,
    want,
)

_DOUBLES, _VARINTS = (2, 3, 5, 7), (1, 4, 6, 14, 15)
_EXPOSED = {1: 1, 2: 3, 4: 2, 5: 4, 6: 5, 7: 6, 8: 7, 9: 8, 10: 9, 11: 10, 12: 11, 13: 12, 14: 13}
_NAMES = {8: "negative", 11: "positive"}


@dataclass(slots=True)
class HistogramFields:
    """A histogram's fields by the numbers that remote write gives them.

    others  what else there was: number as sent, wire type, and where the content begins and ends
    """

    numbers: dict[int, int] = field(default_factory=dict)
    doubles: dict[int, float] = field(default_factory=dict)
    spans: dict[int, list[tuple[int, int]]] = field(default_factory=lambda: {8: [], 11: []})
    deltas: dict[int, list[int]] = field(default_factory=lambda: {9: [], 12: []})
    counts: dict[int, list[float]] = field(default_factory=lambda: {10: [], 13: [], 16: []})
    others: list[tuple[int, int, int, int]] = field(default_factory=list)

    @property
    def count(self) -> float:
        """Give the number of observations of one that was exposed; counts are floats where that is not 0."""
        return self.doubles.get(2) or float(self.numbers.get(1, 0))

    @property
    def is_native(self) -> bool:
        """Say whether one that was exposed is more than classic buckets."""
        zero = self.doubles.get(5, 0.0) > 0 or self.numbers.get(6, 0) > 0 or self.doubles.get(7, 0.0) > 0
        return zero or any(self.spans.values())


def read_histogram(body: bytes, buckets_max: int) -> tuple[Histogram | None, int]:
    """Read one histogram and its time in Unix ms; None where the series ended.

    raises  BrokenMessage when it is no such message; BadInput, in Prometheus' words, when it is no histogram;
            OverLimit when it has more buckets than it may
    """
    read = _read(body, 0, len(body), {})
    time_ms = signed(read.numbers.get(15, 0))
    if np.float64(read.doubles.get(3, 0.0)).view(np.uint64) == STALE_BITS:
        return None, time_ms
    size = sum(map(len, read.deltas.values())) + sum(map(len, read.counts.values()))
    if size > buckets_max:
        raise OverLimit("histogram_buckets_max", size, buckets_max)
    return _histogram(read), time_ms


def read_exposed(body: bytes, at: int, end: int) -> HistogramFields:
    """Read the fields of a histogram of the exposition format, which have other numbers there.

    raises  BrokenMessage when it is no such message
    """
    return _read(body, at, end, _EXPOSED)


def exposed_histogram(read: HistogramFields, *, gauge: bool) -> Histogram:
    """Make a histogram of the fields of one that was exposed.

    raises  BadInput when it is none
    """
    if not read.doubles.get(2) and not read.doubles.get(7):
        read.doubles.pop(2, None)
    read.numbers[14] = Hint.GAUGE if gauge else Hint.UNKNOWN
    return _histogram(read)


def _histogram(read: HistogramFields) -> Histogram:
    whole = 2 not in read.doubles or 1 in read.numbers
    count = float(read.numbers.get(1, 0)) if whole else read.doubles[2]
    zero_count = float(read.numbers.get(6, 0)) if whole else read.doubles.get(7, 0.0)
    negative, positive = (_side(read, at, whole) for at in (8, 11))
    schema = unzigzag(read.numbers.get(4, 0))
    hint = read.numbers.get(14, 0)
    histogram = Histogram(
        count,
        read.doubles.get(3, 0.0),
        schema,
        read.doubles.get(5, 0.0),
        zero_count,
        positive,
        negative,
        np.array(read.counts[16] if schema == CUSTOM_BUCKETS else [], np.float64),
        Hint(hint) if hint <= Hint.GAUGE else Hint.UNKNOWN,
    )
    _check(histogram, whole)
    return histogram


def _read(body: bytes, at: int, end: int, number_of: Mapping[int, int]) -> HistogramFields:
    read = HistogramFields()
    for sent, kind, start, stop in fields(body, at, end):
        number = number_of.get(sent, 0) if number_of else sent
        if number in _DOUBLES:
            want(kind, FIXED64, start, f"field {sent} of Histogram")
            read.doubles[number] = read_double(body, start)
        elif number in _VARINTS:
            want(kind, VARINT, start, f"field {sent} of Histogram")
            read.numbers[number] = read_varint(body, start, stop)[0]
        elif number in read.spans:
            want(kind, BYTES, start, f"field {sent} of Histogram")
            read.spans[number].append(_read_span(body, start, stop))
        elif number in read.deltas:
            read.deltas[number] += map(unzigzag, read_numbers(body, kind, start, stop))
        elif number in read.counts:
            want(kind, BYTES if kind == BYTES else FIXED64, start, f"field {sent} of Histogram")
            read.counts[number] += np.frombuffer(body[start : stop - (stop - start) % 8], "<f8").tolist()
        else:
            read.others.append((sent, kind, start, stop))
    return read


def _read_span(body: bytes, at: int, end: int) -> tuple[int, int]:
    offset = length = 0
    for number, kind, start, stop in fields(body, at, end):
        want(kind, VARINT, start, f"field {number} of BucketSpan")
        if number == 1:
            offset = unzigzag(read_varint(body, start, stop)[0])
        elif number == 2:
            length = read_varint(body, start, stop)[0]
    return offset, length


def _side(read: HistogramFields, at: int, whole: bool) -> Buckets:
    deltas = np.array(read.deltas[at + 1], np.int64)
    counts: Floats = np.cumsum(deltas).astype(np.float64) if whole else np.array(read.counts[at + 2], np.float64)
    bad = np.flatnonzero(counts < 0)
    if len(bad):
        where = f"{_NAMES[at]} side: bucket number {bad[0] + 1} has observation count of {counts[bad[0]]:g}"
        raise BadInput(f"{where}: histogram has a bucket whose observation count is negative")
    return from_spans(read.spans[at], counts)


def _check(one: Histogram, whole: bool) -> None:
    if not one.custom and not SCHEMA_MIN <= one.schema <= SCHEMA_MAX:
        raise BadInput(f"got histogram schema {one.schema}, want {SCHEMA_MIN} … {SCHEMA_MAX} or {CUSTOM_BUCKETS}")
    for side in (one.positive, one.negative):
        if len(side) and max(abs(int(side.index[0])), abs(int(side.index[-1]))) >= 1 << 31:
            raise BadInput("got a bucket index of more than 31 bits")
    if one.custom:
        _check_bounds(one)
    if not whole:
        return
    seen = float(one.positive.counts.sum() + one.negative.counts.sum() + one.zero_count)
    texts = f"{seen:.0f} observations found in buckets, but the Count field is {one.count:.0f}"
    if math.isnan(one.sum) and seen > one.count:
        raise BadInput(
            f"{texts}: histogram's observation count should be at least the number of observations found in the buckets"
        )
    if not math.isnan(one.sum) and seen != one.count:
        raise BadInput(
            f"{texts}: histogram's observation count should equal the number of observations found in the buckets"
            " (in absence of NaN)"
        )


def _check_bounds(one: Histogram) -> None:
    if not (np.diff(one.bounds) > 0).all():
        raise BadInput("histogram custom bounds must be in strictly increasing order")
    if not np.isfinite(one.bounds).all():
        raise BadInput("histogram custom bounds must be finite")
    if len(one.positive) and (one.positive.index[0] < 0 or one.positive.index[-1] > len(one.bounds)):
        raise BadInput(f"only {len(one.bounds)} custom bounds defined: histogram custom bounds are too few")
    if one.zero_count or one.zero_threshold or len(one.negative):
        raise BadInput("custom buckets: must have zero count and threshold of 0 and no negative buckets")
