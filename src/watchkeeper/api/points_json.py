"""The points of many series as JSON, written by columns: no Python object exists for a single point.

orjson writes the numbers of a few series in one go; where they begin and end is found by looking for commas; then every
number, and after it the time stamp before it, is copied to its place with one indexed assignment. The copies are as
wide as the widest text and the number's text is cut by what is copied over its end next: numbers in ascending order,
then stamps.

source  Prometheus 3.5, util/jsonutil/marshal.go
"""

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import orjson

from watchkeeper.model.frame import Floats, Times
from watchkeeper.model.labels import Ints
from watchkeeper.query.promql.matrix import Mask
from watchkeeper.query.promql.numerals import go_float

_WIDTH = 26  # the longest number: -0.0000012345678901234567 and a byte to spare
_POINTS_AT_ONCE = 1 << 12  # so that all columns of the work stay in the processor's cache
_DOT, _ZERO, _COMMA = b".0,"
_BEFORE, _BETWEEN = b'"],[', b',"'
_CLOSE = len('"],')  # what a stamp's text has of the point before it


class Stamps:
    """The time stamps of a matrix's steps, each as the text between two numbers: `"],[1700000000,"`."""

    def __init__(self, times: Times) -> None:
        alike = _alike(times)
        if alike is None:
            texts = [_BEFORE + stamp(time_ms) + _BETWEEN for time_ms in times.tolist()]
            self.lengths: Ints = np.array([len(text) for text in texts], np.int64)
            self.width = int(self.lengths.max(initial=1))
            self.texts = np.array(texts, f"V{self.width}")
        else:
            self.texts, self.width = alike, alike.itemsize
            self.lengths = np.full(len(times), self.width)
        self.is_even = bool((self.lengths == self.width).all())


def _alike(times: Times) -> npt.NDArray[np.void] | None:
    """Write stamps that have the same length and decimals all at once; None when they differ."""
    seconds, parts = np.divmod(times, 1000)
    if not len(times) or (parts != parts[0]).any() or times.min() < 0:
        return None
    digits = len(str(seconds.min()))
    if len(str(seconds.max())) != digits:
        return None
    first = _BEFORE + stamp(int(times[0])) + _BETWEEN
    text = np.tile(np.frombuffer(first, np.uint8), (len(times), 1))
    written = np.frombuffer(orjson.dumps(seconds, option=orjson.OPT_SERIALIZE_NUMPY), np.uint8)
    text[:, len(_BEFORE) : len(_BEFORE) + digits] = written[1:].reshape(len(times), digits + 1)[:, :digits]
    return text.view(f"V{len(first)}")[:, 0]


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Points of many series as JSON, a series' as `[time,"number"],[time,"number"]`.

    text     of all series
    begins   int64[n]: where a series' points are in the text
    ends     int64[n]: where they end; with begins where there are none
    lengths  uint8[n, steps]: of each point's text and a comma; 0 where there is no point
    """

    text: memoryview
    begins: Ints
    ends: Ints
    lengths: npt.NDArray[np.uint8]

    def between(self, low: int, high: int) -> "Points":
        """Give those of steps low to high-1."""
        begins = self.begins + self.lengths[:, :low].sum(axis=1, dtype=np.int64)
        lengths = self.lengths[:, low:high]
        sizes = lengths.sum(axis=1, dtype=np.int64)
        return Points(self.text, begins, begins + np.maximum(sizes - 1, 0), lengths)


def points(stamps: Stamps, values: Floats, present: Mask) -> Points:
    """Write each series' points.

    stamps   of the steps
    values   float64[n, steps]
    present  bool[n, steps]
    """
    number, steps = values.shape
    there = np.asarray(present.all(axis=1))
    counts = np.where(there, steps, np.count_nonzero(present, axis=1))
    lengths = np.zeros(values.shape, np.uint8)
    out = np.empty(int(counts.sum()) * (_WIDTH + stamps.width) + _WIDTH + stamps.width, np.uint8)
    rows = max(1, _POINTS_AT_ONCE // max(steps, 1))
    at = 0
    for start in range(0, number, rows):
        here = slice(start, start + rows)
        if counts[here].any():
            mask = None if there[here].all() else present[here]
            at = _write(out, at, stamps, values[here], mask, lengths[here])
    out[at : at + _CLOSE] = np.frombuffer(_BEFORE, np.uint8)[:_CLOSE]
    sizes = lengths.sum(axis=1, dtype=np.int64)
    begins = np.cumsum(sizes) - sizes + _CLOSE  # the first stamp closes no point
    return Points(out.data, begins, begins + np.maximum(sizes - 1, 0), lengths)


def _write(
    out: npt.NDArray[np.uint8],
    at: int,
    stamps: Stamps,
    values: Floats,
    present: Mask | None,
    lengths: npt.NDArray[np.uint8],
) -> int:
    """Write the points of a few series from a place on, and how long they are; gives the place after them.

    present  None: all are there
    """
    number, steps = values.shape
    if present is None:
        flat, step = values.ravel(), np.tile(np.arange(steps), number)
    else:
        flat, step = values[present], np.nonzero(present)[1]
    texts, sizes = _numbers(flat)
    before = stamps.width if stamps.is_even else stamps.lengths[step]
    whole = sizes + before
    ends = np.cumsum(whole)
    ends += at
    _places(out, _WIDTH)[ends - sizes] = texts
    starts = ends - whole
    if stamps.is_even:
        _places(out, stamps.width)[starts] = stamps.texts[step]
    else:
        for width in np.unique(stamps.lengths).tolist():
            which = np.flatnonzero(stamps.lengths[step] == width)
            _places(out, width)[starts[which]] = stamps.texts[step[which]].astype(f"V{width}")
    if present is None:
        lengths[...] = whole.reshape(number, steps)
    else:
        lengths[present] = whole
    return int(ends[-1])


def _places(text: npt.NDArray[np.uint8], width: int) -> npt.NDArray[np.void]:
    """Give every run of `width` bytes of a text as one element; they overlap."""
    return np.ndarray((len(text) - width + 1,), f"V{width}", text.data, strides=(1,))


def _numbers(values: Floats) -> tuple[npt.NDArray[np.void], Ints]:
    """Write numbers as Go does: shortest, with an exponent below 1e-6 and from 1e21 only.

    values   float64[n], n > 0
    returns  _WIDTH bytes each, and how many of them are the number
    """
    written = orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)
    text = np.frombuffer(written + b" " * _WIDTH, np.uint8)
    bounds = np.empty(len(values) + 1, np.int64)
    bounds[0], bounds[-1] = 0, len(written) - 1
    bounds[1:-1] = np.flatnonzero(text == _COMMA)
    ends = bounds[1:]
    lengths = ends - bounds[:-1] - 1
    lengths -= 2 * ((text[ends - 1] == _ZERO) & (text[ends - 2] == _DOT))
    out = _places(text, _WIDTH)[bounds[:-1] + 1]
    size = np.abs(values)
    usual = (size >= 1e-4) & (size < 1e15)  # what orjson writes as Go does; false for NaN
    if not usual.all():
        for at in np.flatnonzero(~usual & (values != 0)).tolist():
            one = number_text(float(values[at]))
            out[at], lengths[at] = one.ljust(_WIDTH), len(one)
    return out, lengths


def number_texts(values: Floats) -> list[bytes]:
    """Write numbers as Go does, one text each."""
    if not len(values):
        return []
    texts, lengths = _numbers(values)
    whole = texts.tobytes()
    return [whole[at : at + size] for at, size in zip(range(0, len(whole), _WIDTH), lengths.tolist(), strict=True)]


def number_text(value: float) -> bytes:
    """Write one number as Go does."""
    size = abs(value)
    if size != 0 and (size < 1e-6 or size >= 1e21) and np.isfinite(value):
        mantissa, exponent = f"{Decimal(repr(value)):e}".split("e")
        mantissa = mantissa.rstrip("0").removesuffix(".") if "." in mantissa else mantissa
        return f"{mantissa}e{int(exponent):+03d}".encode()
    return go_float(value).encode()


def stamp(time_ms: int) -> bytes:
    """Write Unix seconds with three decimals, or none."""
    sign, rest = ("-", -time_ms) if time_ms < 0 else ("", time_ms)
    seconds, part = divmod(rest, 1000)
    return f"{sign}{seconds}.{part:03d}".encode() if part else f"{sign}{seconds}".encode()
