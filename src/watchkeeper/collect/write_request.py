"""From the bytes of a remote write request to columns: which series, which value, which time.

Three ways in, each of which proves that the next was not needed:
1. The body with its values and times blanked equals one seen before: everything else about it is known already.
2. The label bytes of a series were seen before and are followed by exactly one sample: a dictionary says which series.
3. The whole grammar (`write_wire`).
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from watchkeeper.collect.write_wire import broken, fields, holds_labels_alone, read_metadata, read_series, read_varint
from watchkeeper.model.frame import ABSENT_BITS, NORMAL_NAN_BITS, Floats, MetricMetadata, Times

_SAMPLE = b"\x12\x10\x09"  # a sample of 16 bytes: value, then a time of 6
_ZERO_SAMPLE = b"\x12\x07\x10"  # protobuf leaves out a value of zero
_VALUE_AT, _TIME_AT = np.arange(-15, -7), np.arange(-6, 0)
_SHAPES_PER_LENGTH = 4
_SHAPES_MAX = 64
_SHIFTS = np.arange(0, 42, 7, dtype=np.int64)

Ints = npt.NDArray[np.int64]


@dataclass(slots=True)
class Columns:
    """A request read.

    series   int64[n]: the number that `identify` gave for the labels of each sample; negative when refused
    values   float64[n]
    times    int64[n], Unix milliseconds
    shape    the same number for requests that name the same series in the same order, or -1
    """

    series: Ints
    values: Floats
    times: Times
    shape: int = -1
    metadata: dict[str, MetricMetadata] = field(default_factory=dict)
    histograms: int = 0


@dataclass(frozen=True, slots=True)
class _Shape:
    """A request of simple series only, its values and times blanked."""

    number: int
    skeleton: bytes
    blanks: Ints
    values_at: Ints  # [n, 8]
    times_at: Ints  # [n, 6]
    valued: Ints  # which samples have a value that is not left out
    series: Ints


class RequestReader:
    """Reads requests, remembering series and shapes.

    known     from label bytes to series number; filled by `identify`
    identify  gives the number of new label bytes, or a negative one when they are refused (it keeps the reason)
    """

    def __init__(self, known: dict[bytes, int], identify: Callable[[bytes], int]) -> None:
        self._known, self._identify = known, identify
        self._shapes: OrderedDict[int, list[_Shape]] = OrderedDict()
        self._last_of_length: dict[int, bytes] = {}
        self._numbers = 0

    def forget(self) -> None:
        """Let go of all shapes: series have been numbered anew."""
        self._shapes.clear()
        self._last_of_length.clear()

    def read(self, body: bytes) -> Columns:
        """Read one decompressed request.

        raises  BadInput naming the byte when it is no WriteRequest
        """
        for shape in self._shapes.get(len(body), ()):
            columns = _fill(shape, body)
            if columns is not None:
                return columns
        return self._walk(body)

    def _walk(self, body: bytes) -> Columns:
        simple, series, ends, zeros = self._read_simple(body)
        if simple == len(body):
            return self._columns_of(body, series, ends, zeros)
        return self._read_rest(body)

    def _read_simple(self, body: bytes) -> tuple[int, list[int], list[int], list[int]]:
        """Walk over series with one sample each; stops at the first that is anything else.

        returns  how far it came, the series, where each ends, and which of them have a value of zero
        """
        known, at, end_of_body = self._known.get, 0, len(body)
        series: list[int] = []
        ends: list[int] = []
        zeros: list[int] = []
        while at + 2 < end_of_body and body[at] == 0x0A:
            length, start = body[at + 1], at + 2
            if length >= 0x80 and body[start] < 0x80:  # two bytes, as nearly always
                length, start = length & 0x7F | body[start] << 7, at + 3
            elif length >= 0x80:
                length, start = read_varint(body, at + 1, end_of_body)
            end = start + length
            if end > end_of_body or length < 18:
                break
            if body.startswith(_SAMPLE, end - 18) and body[end - 7] == 0x10:
                key = body[start : end - 18]
            elif body.startswith(_ZERO_SAMPLE, end - 9):
                key = body[start : end - 9]
                zeros.append(len(ends))
            else:
                break
            number = known(key)
            if number is None:
                if not holds_labels_alone(key):
                    break
                number = self._identify(key)
            series.append(number)
            ends.append(end)
            at = end
        return at, series, ends, zeros

    def _columns_of(self, body: bytes, series: list[int], ends: list[int], zeros: list[int]) -> Columns:
        numbers, tails = np.array(series, np.int64), np.array(ends, np.int64)[:, None]
        valued = np.delete(np.arange(len(ends)), zeros) if zeros else np.arange(len(ends))
        values_at, times_at = tails[valued] + _VALUE_AT, tails + _TIME_AT
        columns = _gather(np.frombuffer(body, np.uint8), numbers, valued, values_at, times_at)
        if columns is None:
            return self._read_rest(body)
        repeated = numbers.tobytes()
        if len(numbers) and self._last_of_length.get(len(body)) == repeated and numbers.min() >= 0:
            blanks = np.concatenate([values_at.ravel(), times_at.ravel()])
            self._numbers += 1
            self._remember(_Shape(self._numbers, _blanked(body, blanks), blanks, values_at, times_at, valued, numbers))
        if len(self._last_of_length) >= _SHAPES_MAX:
            self._last_of_length.clear()
        self._last_of_length[len(body)] = repeated  # a shape is worth keeping once it has come twice
        return columns

    def _remember(self, shape: _Shape) -> None:
        same_length = self._shapes.setdefault(len(shape.skeleton), [])
        same_length.insert(0, shape)
        del same_length[_SHAPES_PER_LENGTH:]
        self._shapes.move_to_end(len(shape.skeleton))
        if len(self._shapes) > _SHAPES_MAX:
            self._shapes.popitem(last=False)

    def _read_rest(self, body: bytes) -> Columns:
        """Read with the whole grammar."""
        series: list[int] = []
        samples: list[tuple[float, int]] = []
        metadata: dict[str, MetricMetadata] = {}
        histograms = 0
        for number, kind, start, stop in fields(body, 0, len(body)):
            if number in (1, 3) and kind != 2:
                raise broken(start, f"wire type {kind} for field {number} of WriteRequest")
            if number == 1:
                one = read_series(body, start, stop)
                known = self._known.get(one.labels)
                series += [self._identify(one.labels) if known is None else known] * len(one.samples)
                samples += one.samples
                histograms += one.histograms
            elif number == 3:
                family, said = read_metadata(body, start, stop)
                metadata[family] = said
        values = _checked_values(np.array([value for value, _ in samples], np.float64))
        times = np.array([time_ms for _, time_ms in samples], np.int64)
        return Columns(np.array(series, np.int64), values, times, -1, metadata, histograms)


def _blanked(body: bytes, blanks: Ints) -> bytes:
    blank = np.frombuffer(bytearray(body), np.uint8)
    blank[blanks] = 0
    return blank.tobytes()


def _fill(shape: _Shape, body: bytes) -> Columns | None:
    """Give the columns of a body that has a shape, or None when it has not."""
    if _blanked(body, shape.blanks) != shape.skeleton:
        return None
    raw = np.frombuffer(body, np.uint8)
    return _gather(raw, shape.series, shape.valued, shape.values_at, shape.times_at, shape.number)


def _gather(
    raw: npt.NDArray[np.uint8], series: Ints, valued: Ints, values_at: Ints, times_at: Ints, shape: int = -1
) -> Columns | None:
    """Take values and times out of a body; None when a time is not the six bytes that it seemed to be."""
    digits = raw[times_at]
    if not (digits[:, :5] >= 0x80).all() or (digits[:, 5] >= 0x80).any():
        return None
    found = raw[values_at].view("<f8")[:, 0]
    values = found
    if len(valued) != len(series):
        values = np.zeros(len(series), np.float64)
        values[valued] = found
    times = np.bitwise_or.reduce((digits & 0x7F).astype(np.int64) << _SHIFTS, axis=1)
    return Columns(series, _checked_values(values), times, shape)


def _checked_values(values: Floats) -> Floats:
    """Make an ordinary NaN of the one NaN that means "no sample" to the store."""
    bits = values.view(np.uint64)
    bits[bits == ABSENT_BITS] = NORMAL_NAN_BITS
    return values
