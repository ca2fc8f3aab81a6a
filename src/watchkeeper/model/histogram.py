"""Native histograms as values: exponential buckets (schemas -4 … 8) and custom ones (schema -53).

source  Prometheus 3.5, model/histogram: FloatHistogram

Buckets are two columns, index and count, ascending and without empty ones: what Prometheus calls compacted. Two
histograms with the same buckets are therefore the same arrays, however their spans were cut on the wire.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Context, Decimal
from enum import IntEnum
from functools import cache

import numpy as np
import numpy.typing as npt

from watchkeeper.model.errors import BadInput
from watchkeeper.model.labels import Ints

Floats = npt.NDArray[np.float64]
CUSTOM_BUCKETS = -53
SCHEMA_MIN, SCHEMA_MAX = -4, 8

# How far each bound 2^(i/256) / 2 of Prometheus lies from the nearest float64, in units of the last place, plus 4:
# its table is not rounded correctly, and the bounds are shown to people and compared.
_BOUND_ULPS = (
    "4444443444344444443244333333333344344434433344334433453344334433"
    "4444443333223423443444344443444444434544342244334333443434223333"
    "3434332233233433333333232322232244334434332234223322343323223323"
    "3312332322122212222222111100120133233222231133222312332222012211"
)


class Hint(IntEnum):
    """What is known of a counter reset between this histogram and the one before it; numbers as on the wire."""

    UNKNOWN = 0
    RESET = 1
    NO_RESET = 2
    GAUGE = 3


@dataclass(frozen=True, slots=True, eq=False)
class Buckets:
    """The populated buckets of one sign.

    index   int64[n], ascending; bucket i of schema s covers (2^((i-1) / 2^s), 2^(i / 2^s)]
    counts  float64[n], none of them 0
    """

    index: Ints
    counts: Floats

    def __len__(self) -> int:
        return len(self.index)


def buckets(index: Ints, counts: Floats) -> Buckets:
    """Drop the empty ones of these buckets; `index` ascending, the same one may stand several times in a row."""
    if len(index) > 1 and not (np.diff(index) > 0).all():
        starts = np.flatnonzero(np.concatenate(([True], np.diff(index) != 0)))
        index, counts = index[starts], np.add.reduceat(counts, starts)
    kept = counts != 0
    return Buckets(index, counts) if kept.all() else Buckets(index[kept], counts[kept])


NO_BUCKETS = Buckets(np.zeros(0, np.int64), np.zeros(0))


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bucket as people see it: its bounds, which of them belong to it, and its count."""

    lower: float
    upper: float
    lower_inclusive: bool
    upper_inclusive: bool
    count: float


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """One native histogram: a sample whose value is a distribution.

    schema          -4 … 8: 2^schema buckets for each power of two; CUSTOM_BUCKETS: `bounds` are the buckets' upper ends
    zero_threshold  what is at most this far from 0 counts in `zero_count`
    bounds          float64[n], ascending, of custom buckets; bucket n reaches to +Inf
    """

    count: float
    sum: float
    schema: int = 0
    zero_threshold: float = 0.0
    zero_count: float = 0.0
    positive: Buckets = NO_BUCKETS
    negative: Buckets = NO_BUCKETS
    bounds: Floats = field(default_factory=lambda: np.zeros(0))
    hint: Hint = Hint.UNKNOWN

    @property
    def custom(self) -> bool:
        return self.schema == CUSTOM_BUCKETS

    def __eq__(self, other: object) -> bool:
        """Tell whether all but the hint is the same, bit by bit where there are NaNs."""
        if not isinstance(other, Histogram):
            return NotImplemented
        return self._numbers() == other._numbers()

    def __hash__(self) -> int:
        return hash(self._numbers())

    def _numbers(self) -> tuple[object, ...]:
        numbers = np.array([self.count, self.sum, self.zero_count, self.zero_threshold]) + 0.0  # -0 is 0
        columns = (self.positive.index, self.positive.counts, self.negative.index, self.negative.counts, self.bounds)
        return (self.schema, numbers.tobytes(), *(column.tobytes() for column in columns))

    def is_laid_out_as(self, other: "Histogram") -> bool:
        """Tell whether the same bucket index means the same in both: schema, zero threshold and bounds."""
        same = self.schema == other.schema and self.zero_threshold == other.zero_threshold
        return same and (self.bounds is other.bounds or np.array_equal(self.bounds, other.bounds))

    def __neg__(self) -> "Histogram":
        return self.times(-1.0)

    def times(self, factor: float) -> "Histogram":
        """Scale all counts and the sum; what is scaled by a negative number is no counter any more."""
        with np.errstate(all="ignore"):
            return replace(
                self,
                count=float(np.multiply(self.count, factor)),
                sum=float(np.multiply(self.sum, factor)),
                zero_count=float(np.multiply(self.zero_count, factor)),
                positive=buckets(self.positive.index, self.positive.counts * factor),
                negative=buckets(self.negative.index, self.negative.counts * factor),
                hint=Hint.GAUGE if factor < 0 else self.hint,
            )

    def over(self, divisor: float) -> "Histogram":
        """Divide all counts and the sum; by 0, no bucket is left."""
        with np.errstate(all="ignore"):
            sides = [
                NO_BUCKETS if divisor == 0 else buckets(side.index, side.counts / divisor)
                for side in (self.positive, self.negative)
            ]
            return replace(
                self,
                count=float(np.divide(self.count, divisor)),
                sum=float(np.divide(self.sum, divisor)),
                zero_count=float(np.divide(self.zero_count, divisor)),
                positive=sides[0],
                negative=sides[1],
                hint=Hint.GAUGE if divisor < 0 else self.hint,
            )

    def at_resolution(self, schema: int) -> "Histogram":
        """Merge buckets down to a coarser exponential schema."""
        assert schema <= self.schema and not self.custom
        if schema == self.schema:
            return self
        sides = (_coarser(side, self.schema - schema) for side in (self.positive, self.negative))
        return replace(self, schema=schema, positive=next(sides), negative=next(sides))

    def with_zero_threshold(self, threshold: float) -> "Histogram":
        """Count what lies within a wider zero bucket in it; the threshold grows on to the end of a populated bucket."""
        if threshold == self.zero_threshold:
            return self
        zero_count, threshold = self._zero_count_within(threshold)
        sides = []
        for side in (self.positive, self.negative):
            kept = exponential_bounds(side.index - 1, self.schema) >= threshold
            sides.append(Buckets(side.index[kept], side.counts[kept]))
        return replace(self, zero_count=zero_count, zero_threshold=threshold, positive=sides[0], negative=sides[1])

    def _zero_count_within(self, threshold: float) -> tuple[float, float]:
        """Count what a zero bucket as wide as this would hold, and say how wide it must be to cut no bucket."""
        assert threshold >= self.zero_threshold
        sides = [
            (exponential_bounds(side.index - 1, self.schema), exponential_bounds(side.index, self.schema), side.counts)
            for side in (self.positive, self.negative)
        ]
        while True:
            before = threshold
            for lower, upper, _ in sides:
                cut = upper[(lower < threshold) & (upper > threshold)]
                threshold = float(cut[0]) if len(cut) else threshold
            if threshold == before:
                break
        total = self.zero_count
        for lower, _, counts in sides:
            for count in counts[lower < threshold].tolist():  # one after the other: sums must round as Prometheus' do
                total += count
        return total, threshold

    def spread(self) -> Iterator[Bucket]:
        """Go through the populated buckets from the lowest to the highest; none reaches into the zero bucket."""
        edge = self.zero_threshold
        for bucket in self.laid_out():
            if 0 < bucket.lower < edge:
                yield replace(bucket, lower=edge)
            elif -edge < bucket.upper < 0:
                yield replace(bucket, upper=-edge)
            else:
                yield bucket

    def laid_out(self) -> Iterator[Bucket]:
        """Go through the populated buckets from the lowest to the highest, with the bounds that their schema has."""
        if len(self.negative):
            uppers = (-exponential_bounds(self.negative.index - 1, self.schema))[::-1].tolist()
            lowers = (-exponential_bounds(self.negative.index, self.schema))[::-1].tolist()
            for lower, upper, count in zip(lowers, uppers, self.negative.counts[::-1].tolist(), strict=True):
                yield Bucket(lower, upper, lower_inclusive=True, upper_inclusive=False, count=count)
        if self.zero_count > 0:
            edge = self.zero_threshold
            yield Bucket(-edge, edge, lower_inclusive=True, upper_inclusive=True, count=self.zero_count)
        if len(self.positive):
            lowers, uppers = (side.tolist() for side in self.positive_bounds())
            where = zip(self.positive.index.tolist(), lowers, uppers, self.positive.counts.tolist(), strict=True)
            for index, lower, upper, count in where:
                first = self.custom and index == 0
                yield Bucket(lower, upper, lower_inclusive=first, upper_inclusive=True, count=count)

    def positive_bounds(self) -> tuple[Floats, Floats]:
        """Give lower and upper bound of each positive bucket, float64[n] each."""
        if self.custom:
            edges = np.concatenate(([-np.inf], self.bounds, [np.inf]))
            return edges[self.positive.index], edges[self.positive.index + 1]
        index = self.positive.index
        return exponential_bounds(index - 1, self.schema), exponential_bounds(index, self.schema)


def exponential_bounds(index: Ints, schema: int) -> Floats:
    """Give the upper bound of each bucket, float64[n]; the last one of finite numbers ends at the largest float."""
    if schema < 0:
        fraction, power = np.full(len(index), 0.5), (index << -schema) + 1
    else:
        fraction = _fractions()[(index & ((1 << schema) - 1)) << (SCHEMA_MAX - schema)]
        power = (index >> schema) + 1
    with np.errstate(over="ignore"):
        found = np.ldexp(fraction, power.clip(-2000, 2000).astype(np.int32))
    return np.asarray(np.where((fraction == 0.5) & (power == 1025), sys.float_info.max, found))


@cache
def _fractions() -> Floats:
    """Give Prometheus' bounds in [0.5, 1) of the finest schema, float64[256]."""
    exact = Context(prec=40)
    nearest = [float(exact.power(Decimal(2), Decimal(i) / 256 - 1)) for i in range(256)]
    off = np.frombuffer(_BOUND_ULPS.encode(), np.uint8).astype(np.int64) - ord("4")
    return (np.array(nearest).view(np.int64) + off).view(np.float64)


def _coarser(side: Buckets, steps: int) -> Buckets:
    return buckets(((side.index - 1) >> steps) + 1, side.counts)


def from_spans(spans: list[tuple[int, int]], counts: Floats) -> Buckets:
    """Read buckets as they lie on the wire.

    spans   (offset, length): how many buckets are left out before, how many follow; the first offset is an index
    counts  float64[n], absolute
    raises  BadInput when the spans go backwards or do not cover the counts
    """
    for number, (offset, length) in enumerate(spans):
        if length < 0 or (number > 0 and offset < 0):
            raise BadInput(
                f"span number {number + 1} with offset {offset}: histogram has a span whose offset is negative"
            )
    want = sum(length for _, length in spans)
    if want != len(counts):
        texts = f"spans need {want} buckets, have {len(counts)} buckets"
        raise BadInput(f"{texts}: histogram spans specify different number of buckets than provided")
    at, parts = 0, [np.zeros(0, np.int64)]
    for offset, length in spans:
        at += offset
        parts.append(np.arange(at, at + length))
        at += length
    return buckets(np.concatenate(parts), counts)


def to_spans(side: Buckets) -> list[tuple[int, int]]:
    """Give the spans that hold exactly these buckets."""
    if not len(side):
        return []
    cuts = np.flatnonzero(np.diff(side.index) > 1) + 1
    starts, ends = np.concatenate(([0], cuts)), np.concatenate((cuts, [len(side)]))
    first, past = side.index[starts], side.index[ends - 1] + 1
    offsets = first - np.concatenate(([0], past[:-1]))
    return list(zip(offsets.tolist(), (past - first).tolist(), strict=True))
