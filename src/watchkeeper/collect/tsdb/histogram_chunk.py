"""Chunks of native histograms in a Prometheus' blocks, and records of them in its log.

chunk     u16 samples, u8 of which the upper two bits tell of resets (3: gauges), then bits: the layout, the samples
layout    u8 zero threshold (0: zero, 255: 64 bits follow, else 0.5 × 2^(u8 - 243)), varbit schema, spans of the
          positive and of the negative side (varbit number, each varbit length and offset), bounds of custom buckets
samples   of integers: varbit time, count, zero count, 64 bits sum, varbit buckets; then differences of differences,
          the sum by XOR; of floats: varbit time, the others 64 bits; then the others by XOR
varbit    0, or one of eight prefixes and 3, 6, 9, 12, 18, 25, 56 or 64 bits
source    Prometheus 3.5, tsdb/chunkenc/{histogram,float_histogram,histogram_meta,varbit}.go; tsdb/record/record.go
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from watchkeeper.collect.tsdb.varints import uvarint, varint
from watchkeeper.model.errors import BadInput
from watchkeeper.model.frame import STALE_BITS, Floats
from watchkeeper.model.histogram import CUSTOM_BUCKETS, Hint, Histogram, from_spans

_WIDTHS = (0, 3, 6, 9, 12, 18, 25, 56, 64)
_GAUGES = 3
_F64 = struct.Struct(">d")
_REF_AND_TIME = struct.Struct(">Qq")

Spans = list[tuple[int, int]]
Sample = tuple[int, Histogram | None]  # None: the series ended


@dataclass(slots=True)
class _Bits:
    """Bits, read from the first on.

    text  a character a bit: what Python cuts and reads fastest
    """

    text: str
    at: int = 0

    def number(self, width: int) -> int:
        end = self.at + width
        if end > len(self.text):
            raise BadInput("cannot read a chunk of histograms: got one that is cut off")
        number = int(self.text[self.at : end], 2) if width else 0
        self.at = end
        return number

    def unsigned(self) -> int:
        ones = self.text.find("0", self.at, self.at + 8)
        prefix = 8 if ones < 0 else ones - self.at
        self.at += min(prefix + 1, 8)
        return self.number(_WIDTHS[prefix])

    def signed(self) -> int:
        before = self.at
        number = self.unsigned()
        prefix = self.text.find("0", before, before + 8)
        width = 64 if prefix < 0 else _WIDTHS[prefix - before]
        is_negative = number >> 63 if width == 64 else width and number > 1 << width - 1
        return number - (1 << width) if is_negative else number

    def real(self) -> float:
        return _float_of(self.number(64))

    def spans(self) -> Spans:
        found = []
        for _ in range(self.unsigned()):
            length = self.unsigned()
            found.append((self.signed(), length))
        return found

    def threshold(self) -> float:
        exponent = self.number(8)
        if exponent == 255:
            return self.real()
        return 0.0 if exponent == 0 else float(np.ldexp(0.5, exponent - 243))

    def bounds(self) -> list[float]:
        return [self._bound() for _ in range(self.unsigned())]

    def _bound(self) -> float:
        """Read a thousandfold plus one as varbit, or, when that would be 0, all bits of the number."""
        thousandfold = self.unsigned()
        return (thousandfold - 1) / 1000 if thousandfold else self.real()


class _Xor:
    """A number after the other, each as what differs from the one before."""

    __slots__ = ("_leading", "_trailing", "bits")

    def __init__(self, bits: int) -> None:
        self.bits, self._leading, self._trailing = bits, 0, 0

    def next(self, source: _Bits) -> int:
        if source.number(1):
            if source.number(1):
                self._leading = source.number(5)
                width = source.number(6) or 64
                self._trailing = 64 - self._leading - width
            width = 64 - self._leading - self._trailing
            self.bits ^= source.number(width) << self._trailing
        return self.bits


@dataclass(slots=True)
class _Layout:
    schema: int
    threshold: float
    positive: Spans
    negative: Spans
    bounds: Floats
    hint: Hint

    def histogram(self, count: float, sum_bits: int, zeros: float, sides: tuple[list[float], list[float]]) -> Histogram:
        positive, negative = (
            from_spans(spans, np.array(counts, np.float64))
            for spans, counts in zip((self.positive, self.negative), sides, strict=True)
        )
        own = {"bounds": self.bounds} if self.schema == CUSTOM_BUCKETS else {}
        total = _float_of(sum_bits)
        return Histogram(count, total, self.schema, self.threshold, zeros, positive, negative, hint=self.hint, **own)


def _float_of(bits: int) -> float:
    return float(_F64.unpack(bits.to_bytes(8))[0])


def read_chunk(data: bytes, *, floats: bool) -> Iterator[Sample]:
    """Give a chunk's samples.

    floats  whether counts are floats
    raises  BadInput when it is cut off or damaged
    """
    if len(data) < 3:
        raise BadInput("cannot read a chunk of histograms: got one that is cut off")
    count, hint = int.from_bytes(data[:2]), Hint.GAUGE if data[2] >> 6 == _GAUGES else Hint.UNKNOWN
    bits = _Bits(bin(int.from_bytes(b"\x01" + data[3:]))[3:])
    if not count:
        return
    threshold, schema = bits.threshold(), bits.signed()
    positive, negative = bits.spans(), bits.spans()
    bounds = np.array(bits.bounds() if schema == CUSTOM_BUCKETS else [], np.float64)
    layout = _Layout(schema, threshold, positive, negative, bounds, hint)
    sizes = sum(length for _, length in positive), sum(length for _, length in negative)
    yield from (_floats if floats else _integers)(bits, count, layout, sizes)


def _integers(bits: _Bits, count: int, layout: _Layout, sizes: tuple[int, int]) -> Iterator[Sample]:
    time, total, zeros = bits.signed(), bits.unsigned(), bits.unsigned()
    moved = [0, 0, 0]
    sum_ = _Xor(bits.number(64))
    size = sum(sizes)
    steps, changes = [0] * size, [0] * size  # of the buckets: each the difference from the one before in its side
    for at in range(count):
        if at:
            moved = [one + bits.signed() for one in moved]
            time, total, zeros = time + moved[0], total + moved[1], zeros + moved[2]
            sum_.next(bits)
        if sum_.bits == STALE_BITS:
            yield time, None
            continue
        for bucket in range(size):
            read = bits.signed()
            if at:
                changes[bucket] += read
            steps[bucket] += changes[bucket] if at else read
        sides = _summed(steps[: sizes[0]]), _summed(steps[sizes[0] :])
        yield time, layout.histogram(float(total), sum_.bits, float(zeros), sides)


def _summed(steps: list[int]) -> list[float]:
    return np.cumsum(np.array(steps, np.int64)).astype(np.float64).tolist()


def _floats(bits: _Bits, count: int, layout: _Layout, sizes: tuple[int, int]) -> Iterator[Sample]:
    time, step = bits.signed(), 0
    total, zeros, sum_ = (_Xor(bits.number(64)) for _ in range(3))
    columns: list[_Xor] = []
    for at in range(count):
        if at:
            step += bits.signed()
            time += step
            for one in (total, zeros, sum_):
                one.next(bits)
        if sum_.bits == STALE_BITS:
            yield time, None
            continue
        if at:
            values = [_float_of(one.next(bits)) for one in columns]
        else:
            columns = [_Xor(bits.number(64)) for _ in range(sum(sizes))]
            values = [_float_of(one.bits) for one in columns]
        sides = values[: sizes[0]], values[sizes[0] :]
        yield time, layout.histogram(_float_of(total.bits), sum_.bits, _float_of(zeros.bits), sides)


def read_record(record: bytes, *, floats: bool) -> Iterator[tuple[int, int, Histogram | None]]:
    """Give what a record of the log holds: reference, time, histogram; None where the series ended.

    raises  BadInput, struct.error when it is cut off
    """
    if len(record) < 1 + _REF_AND_TIME.size:
        return
    first_ref, first_ms = _REF_AND_TIME.unpack_from(record, 1)
    at = 1 + _REF_AND_TIME.size
    while at < len(record):
        step, at = varint(record, at)
        shift, at = varint(record, at)
        one, at = _read_histogram(record, at, floats=floats)
        yield first_ref + step, first_ms + shift, one


def _read_histogram(record: bytes, at: int, *, floats: bool) -> tuple[Histogram | None, int]:
    hint = Hint.GAUGE if record[at] == Hint.GAUGE else Hint.UNKNOWN
    schema, at = varint(record, at + 1)
    (threshold,) = _F64.unpack_from(record, at)
    at += 8
    if floats:
        zeros, count = struct.unpack_from(">dd", record, at)
        at += 16
    else:
        zeros, at = uvarint(record, at)
        count, at = uvarint(record, at)
    sum_bits = int.from_bytes(record[at : at + 8])
    at += 8
    spans: list[Spans] = []
    for _ in range(2):
        number, at = uvarint(record, at)
        spans.append([])
        for _ in range(number):
            offset, at = varint(record, at)
            length, at = uvarint(record, at)
            spans[-1].append((offset, length))
    sides: list[list[float]] = []
    for _ in range(2):
        number, at = uvarint(record, at)
        if floats:
            sides.append(list(struct.unpack_from(f">{number}d", record, at)))
            at += 8 * number
        else:
            steps = []
            for _ in range(number):
                step, at = varint(record, at)
                steps.append(step)
            sides.append(_summed(steps))
    bounds: tuple[float, ...] = ()
    if schema == CUSTOM_BUCKETS:
        number, at = uvarint(record, at)
        bounds = struct.unpack_from(f">{number}d", record, at)
        at += 8 * number
    if sum_bits == STALE_BITS:
        return None, at
    layout = _Layout(schema, threshold, spans[0], spans[1], np.array(bounds, np.float64), hint)
    return layout.histogram(float(count), sum_bits, float(zeros), (sides[0], sides[1])), at
