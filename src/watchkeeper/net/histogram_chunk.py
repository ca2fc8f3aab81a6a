"""Chunks of native histograms, as Prometheus keeps them in blocks and sends them in remote read.

chunk     u16 samples, u8 of which the upper two bits tell of resets (3: gauges), then bits: the layout, the samples
layout    u8 zero threshold (0: zero, 255: 64 bits follow, else 0.5 × 2^(u8 - 243)), varbit schema, spans of the
          positive and of the negative side (varbit number, each varbit length and offset), bounds of custom buckets
samples   of integers: varbit time, count, zero count, 64 bits sum, varbit buckets; then differences of differences,
          the sum by XOR; of floats: varbit time, the others 64 bits; then the others by XOR
varbit    0, or one of eight prefixes and 3, 6, 9, 12, 18, 25, 56 or 64 bits
source    Prometheus 3.5, tsdb/chunkenc/{histogram,float_histogram,histogram_meta,varbit}.go
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from watchkeeper.model.errors import BadInput
from watchkeeper.model.frame import STALE_BITS, Floats
from watchkeeper.model.histogram import CUSTOM_BUCKETS, Hint, Histogram, from_spans, to_spans
from watchkeeper.model.histogram_sum import goes_on

_WIDTHS = (0, 3, 6, 9, 12, 18, 25, 56, 64)
_GAUGES = 3
_THOUSANDFOLD_MAX = 33554430
_F64 = struct.Struct(">d")

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
        return float_of(self.number(64))

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
class ChunkLayout:
    """What all histograms of a chunk share."""

    schema: int
    threshold: float
    positive: Spans
    negative: Spans
    bounds: Floats
    hint: Hint

    def histogram(self, count: float, sum_bits: int, zeros: float, sides: tuple[list[float], list[float]]) -> Histogram:
        """Give one of them; `sum_bits` are those of a float64, counts of the sides absolute."""
        positive, negative = (
            from_spans(spans, np.array(counts, np.float64))
            for spans, counts in zip((self.positive, self.negative), sides, strict=True)
        )
        own = {"bounds": self.bounds} if self.schema == CUSTOM_BUCKETS else {}
        total = float_of(sum_bits)
        return Histogram(count, total, self.schema, self.threshold, zeros, positive, negative, hint=self.hint, **own)


def float_of(bits: int) -> float:
    """Give the float64 of these bits."""
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
    layout = ChunkLayout(schema, threshold, positive, negative, bounds, hint)
    sizes = sum(length for _, length in positive), sum(length for _, length in negative)
    yield from (_floats if floats else _integers)(bits, count, layout, sizes)


def _integers(bits: _Bits, count: int, layout: ChunkLayout, sizes: tuple[int, int]) -> Iterator[Sample]:
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
        sides = summed(steps[: sizes[0]]), summed(steps[sizes[0] :])
        yield time, layout.histogram(float(total), sum_.bits, float(zeros), sides)


def summed(steps: list[int]) -> list[float]:
    """Give counts of which each is told as the difference from the one before."""
    return np.cumsum(np.array(steps, np.int64)).astype(np.float64).tolist()


def _floats(bits: _Bits, count: int, layout: ChunkLayout, sizes: tuple[int, int]) -> Iterator[Sample]:
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
            values = [float_of(one.next(bits)) for one in columns]
        else:
            columns = [_Xor(bits.number(64)) for _ in range(sum(sizes))]
            values = [float_of(one.bits) for one in columns]
        sides = values[: sizes[0]], values[sizes[0] :]
        yield time, layout.histogram(float_of(total.bits), sum_.bits, float_of(zeros.bits), sides)


# --- writing --------------------------------------------------------------------------------------------------


def write_chunks(samples: Sequence[tuple[int, Histogram]], samples_max: int) -> Iterator[tuple[int, int, bytes]]:
    """Give chunks of a series' histograms, ascending in time: first and last time, and the chunk, its counts as floats.

    A chunk ends where the layout changes and where a counter was reset: inside it readers take it that none was.
    """
    first = 0
    for at in range(1, len(samples) + 1):
        if at == len(samples) or at - first == samples_max or not _joins(samples[at][1], samples[at - 1][1]):
            yield samples[first][0], samples[at - 1][0], _written(samples[first:at])
            first = at


def _joins(now: Histogram, before: Histogram) -> bool:
    same_sides = all(
        np.array_equal(one.index, other.index)
        for one, other in ((now.positive, before.positive), (now.negative, before.negative))
    )
    if now.hint is Hint.GAUGE or before.hint is Hint.GAUGE:
        same_kind = now.hint is before.hint and now.schema == before.schema
        return same_kind and same_sides and now.zero_threshold == before.zero_threshold and _same_bounds(now, before)
    return same_sides and goes_on(now, before)


def _same_bounds(now: Histogram, before: Histogram) -> bool:
    return np.array_equal(now.bounds, before.bounds)


def _written(samples: Sequence[tuple[int, Histogram]]) -> bytes:
    first = samples[0][1]
    bits = _Written()
    bits.layout(first)
    bits.signed(samples[0][0])
    before = [_bits_of(value) for value in _values(first)]
    windows: list[tuple[int, int] | None] = [None] * len(before)
    for value in before:
        bits.number(value, 64)
    step = 0
    for (last_ms, _), (time_ms, one) in pairwise(samples):
        bits.signed(time_ms - last_ms - step)
        step = time_ms - last_ms
        now = [_bits_of(value) for value in _values(one)]
        for at, (new, old) in enumerate(zip(now, before, strict=True)):
            windows[at] = bits.xor(new ^ old, windows[at])
        before = now
    head = len(samples).to_bytes(2) + bytes([(_GAUGES << 6) if first.hint is Hint.GAUGE else 0])
    return head + bits.packed()


def _values(one: Histogram) -> list[float]:
    return [one.count, one.zero_count, one.sum, *one.positive.counts.tolist(), *one.negative.counts.tolist()]


def _bits_of(value: float) -> int:
    return int.from_bytes(_F64.pack(value))


class _Written:
    """Bits that are being written, as text."""

    def __init__(self) -> None:
        self._parts: list[str] = []

    def packed(self) -> bytes:
        text = "".join(self._parts)
        text += "0" * (-len(text) % 8)
        return int("1" + text, 2).to_bytes(len(text) // 8 + 1)[1:]

    def number(self, value: int, width: int) -> None:
        self._parts.append(f"{value:0{width}b}")

    def unsigned(self, value: int) -> None:
        prefix = next(at for at, width in enumerate(_WIDTHS) if value < 1 << width)
        self._varbit(value, prefix)

    def signed(self, value: int) -> None:
        fits = (not value if not width else -(1 << width - 1) < value <= 1 << width - 1 for width in _WIDTHS)
        prefix = next((at for at, one in enumerate(fits) if one), len(_WIDTHS) - 1)
        self._varbit(value & (1 << _WIDTHS[prefix]) - 1, prefix)

    def _varbit(self, value: int, prefix: int) -> None:
        self._parts.append("1" * prefix + ("0" if prefix < len(_WIDTHS) - 1 else ""))
        if prefix:
            self.number(value, _WIDTHS[prefix])

    def layout(self, one: Histogram) -> None:
        self._threshold(one.zero_threshold)
        self.signed(one.schema)
        for side in (one.positive, one.negative):
            spans = to_spans(side)
            self.unsigned(len(spans))
            for offset, length in spans:
                self.unsigned(length)
                self.signed(offset)
        if one.custom:
            self.unsigned(len(one.bounds))
            for bound in one.bounds.tolist():
                self._bound(bound)

    def _threshold(self, threshold: float) -> None:
        fraction, exponent = np.frexp(threshold)
        if threshold == 0:
            self.number(0, 8)
        elif fraction == 0.5 and -242 <= exponent <= 11:
            self.number(int(exponent) + 243, 8)
        else:
            self.number(255, 8)
            self.number(_bits_of(threshold), 64)

    def _bound(self, bound: float) -> None:
        thousandfold = bound * 1000
        if 0 <= thousandfold <= _THOUSANDFOLD_MAX and thousandfold.is_integer():
            self.unsigned(int(thousandfold) + 1)
        else:
            self.number(0, 1)
            self.number(_bits_of(bound), 64)

    def xor(self, change: int, window: tuple[int, int] | None) -> tuple[int, int] | None:
        """Write what changed; gives how many zero bits are left out before and behind, for the next."""
        if not change:
            self.number(0, 1)
            return window
        leading, trailing = min(64 - change.bit_length(), 31), (change & -change).bit_length() - 1
        if window is not None and leading >= window[0] and trailing >= window[1]:
            self.number(0b10, 2)
        else:
            window = leading, trailing
            self.number(0b11, 2)
            self.number(leading, 5)
            self.number(64 - leading - trailing & 63, 6)
        self.number(change >> window[1], 64 - window[0] - window[1])
        return window
