"""From the bytes of a remote write request to columns: which series, which value, which time.

Three ways in, each of which proves that the next was not needed:
1. The body with its values and times blanked equals one seen before: everything else about it is known already.
2. The label bytes of a series were seen before and are followed by exactly one sample: a dictionary says which series.
3. The whole grammar (`write_wire`, `write_symbols`).
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

import numpy as np
import numpy.typing as npt

from watchkeeper.collect.known_series import KnownSeries, hashes_of
from watchkeeper.collect.write_wire import Hashed, Walk, holds_labels_alone
from watchkeeper.model.exemplar import Exemplar
from watchkeeper.model.frame import Floats, MetricMetadata, Times, clear_reserved

_SHAPES_BYTES_MAX = 32 << 20
_SEEN_MAX = 4096
_SIX_BYTES = np.uint64((1 << 48) - 1)
_GOES_ON, _GO_ON = np.uint64(0x808080808080), np.uint64(0x008080808080)  # which bytes of a varint say that it goes on
_PAD = bytes(8)

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]


class WalkBody(Protocol):
    """The grammar of one version of the protocol."""

    def __call__(self, body: bytes, *, simple: bool = True) -> Walk:
        """Go over a request; see write_wire.walk_request."""
        ...


@dataclass(slots=True)
class Columns:
    """A request read.

    series      int64[n]: the number that `identify` gave for the labels of each sample; negative when refused
    values      float64[n]
    times       int64[n], Unix milliseconds
    shape       the same number for requests that name the same series in the same order, or -1
    histograms  native histograms as sent, each with the number of its series; exemplars, too
    """

    series: Ints
    values: Floats
    times: Times
    shape: int = -1
    metadata: dict[str, MetricMetadata] = field(default_factory=dict)
    histograms: list[tuple[int, bytes]] = field(default_factory=list)
    exemplars: list[tuple[int, Exemplar]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Shape:
    """A request of simple series only, its values and times blanked.

    head      the bytes before the first of these
    value_at  where values begin, of those samples that have one that is not left out: `valued`
    time_at   where times begin
    """

    number: int
    skeleton: bytes
    head: bytes
    value_at: Ints
    time_at: Ints
    valued: Ints
    series: Ints


class RequestReader:
    """Reads requests of one version, remembering series and shapes.

    walk      the version's grammar
    known     which series label bytes stand for; filled by `identify`
    identify  gives the number of new label bytes, or a negative one when they are refused (it keeps the reason)
    refuse    gives a negative number for a series that is none, and keeps the reason
    """

    _numbers = count(1)

    def __init__(
        self,
        walk: WalkBody,
        known: KnownSeries,
        identify: Callable[[bytes], int],
        refuse: Callable[[str, bytes], int],
    ) -> None:
        self._walk_body, self._known, self._identify, self._refuse = walk, known, identify, refuse
        self._shapes: dict[int, list[_Shape]] = {}  # by length
        self._by_age: OrderedDict[int, _Shape] = OrderedDict()
        self._bytes = 0
        self._seen: OrderedDict[tuple[int, int], None] = OrderedDict()  # length and hash of what came once

    def forget(self) -> None:
        """Let go of all shapes: series have been numbered anew."""
        self._shapes.clear()
        self._by_age.clear()
        self._seen.clear()
        self._bytes = 0

    def read(self, body: bytes) -> Columns:
        """Read one decompressed request.

        raises  BrokenMessage naming the byte when it is no such message
        """
        for shape in self._shapes.get(len(body), ()):
            columns = _fill(shape, body) if body.startswith(shape.head) else None
            if columns is not None:
                self._by_age.move_to_end(shape.number)
                return columns
        columns = self._columns(body, self._walk_body(body))
        if columns is None:
            columns = self._columns(body, self._walk_body(body, simple=False))
        assert columns is not None, "without simple series nothing can seem what it is not"
        return columns

    def _columns(self, body: bytes, walk: Walk) -> Columns | None:
        """Give a walk's columns, or None when a series was not as simple as it seemed."""
        numbers = self._number_all(walk)
        if numbers is None:
            return None
        value_at, time_at = np.frombuffer(walk.value_at, np.int64), np.frombuffer(walk.time_at, np.int64)
        valued = np.flatnonzero(value_at >= 0)
        value_at = value_at[valued]
        columns = _gather(_words(body), numbers, valued, value_at, time_at)
        if columns is None:
            return None
        if walk.others:
            self._add_others(columns, walk)
        else:
            self._consider(body, columns, valued, value_at, time_at)
        columns.metadata = walk.metadata
        return columns

    def _number_all(self, walk: Walk) -> Ints | None:
        if walk.hashed is not None:
            return self._number_hashed(walk.hashed)
        keys = walk.keys
        numbers = self._known.find(hashes_of(keys))
        for at in np.flatnonzero(numbers < 0).tolist():
            if not holds_labels_alone(keys[at]):
                return None
            numbers[at] = self._number(keys[at])
        return numbers

    def _number_hashed(self, series: Hashed) -> Ints:
        numbers = series.known.find(series.hashes)
        for at in np.flatnonzero(numbers < 0).tolist():
            numbers[at] = number = self._number(series[at])
            value = int(series.hashes[at])
            if number >= 0 and series.known.get(value) is None:
                series.known.add(value, number)
        return numbers

    def _number(self, key: bytes) -> int:
        known = self._known.get(hash(key))
        return self._identify(key) if known is None else known

    def _consider(self, body: bytes, columns: Columns, valued: Ints, value_at: Ints, time_at: Ints) -> None:
        """Remember the shape of a body: worth it once it has come twice."""
        series = columns.series
        if not len(series) or series.min() < 0:
            return
        key = len(body), hash(series.tobytes())
        if key not in self._seen:
            self._seen[key] = None
            if len(self._seen) > _SEEN_MAX:
                self._seen.popitem(last=False)
            return
        skeleton = _blanked(_words(body), value_at, time_at)
        head = skeleton[: int(min(time_at[0], value_at[0] if len(value_at) else time_at[0]))]
        shape = _Shape(next(self._numbers), skeleton, head, value_at, time_at, valued, series)
        self._shapes.setdefault(len(body), []).insert(0, shape)
        self._by_age[shape.number] = shape
        self._bytes += len(skeleton)
        while self._bytes > _SHAPES_BYTES_MAX:
            oldest = self._by_age.popitem(last=False)[1]
            self._bytes -= len(oldest.skeleton)
            length = len(oldest.skeleton) - len(_PAD)
            alike = self._shapes[length]
            alike.remove(oldest)
            if not alike:
                del self._shapes[length]

    def _add_others(self, columns: Columns, walk: Walk) -> None:
        """Add the series that went through the whole grammar."""
        series: list[int] = []
        samples: list[tuple[float, int]] = []
        for one in walk.others:
            number = self._refuse(one.fault, one.labels) if one.fault else self._number(one.labels)
            series += [number] * len(one.samples)
            samples += one.samples
            columns.histograms += [(number, histogram) for histogram in one.histograms]
            columns.exemplars += [(number, exemplar) for exemplar in one.exemplars]
        values = _checked_values(np.array([value for value, _ in samples], np.float64))
        times = np.array([time_ms for _, time_ms in samples], np.int64)
        columns.series = np.concatenate([columns.series, np.array(series, np.int64)])
        # As integers: a float move may quieten the NaNs that carry a meaning.
        columns.values = np.concatenate([columns.values.view(np.uint64), values.view(np.uint64)]).view(np.float64)
        columns.times = np.concatenate([columns.times, times])


def _words(body: bytes) -> Words:
    """Give the eight bytes from each place of a body on, as a number; a copy that may be written to."""
    data = bytearray(body + _PAD)
    return np.ndarray((len(body) + 1,), "<u8", data, strides=(1,))


def _blanked(words: Words, value_at: Ints, time_at: Ints) -> bytes:
    """Give a body without its values and times; `words` are blanked themselves."""
    words[value_at] = 0
    words[time_at] &= ~_SIX_BYTES
    base = words.base
    assert isinstance(base, bytearray)
    return bytes(base)


def _fill(shape: _Shape, body: bytes) -> Columns | None:
    """Give the columns of a body that has a shape, or None when it has not."""
    words = _words(body)
    columns = _gather(words, shape.series, shape.valued, shape.value_at, shape.time_at, shape.number)
    if columns is None or _blanked(words, shape.value_at, shape.time_at) != shape.skeleton:
        return None
    return columns


def _gather(words: Words, series: Ints, valued: Ints, value_at: Ints, time_at: Ints, shape: int = -1) -> Columns | None:
    """Take values and times out of a body; None when a time is not the six bytes that it seemed to be."""
    times = _times(words[time_at])
    if times is None:
        return None
    found = words[value_at].view(np.float64)
    values = found
    if len(valued) != len(series):
        values = np.zeros(len(series), np.float64)
        values.view(np.uint64)[valued] = found.view(np.uint64)
    return Columns(series, _checked_values(values), times, shape)


def _times(words: Words) -> Times | None:
    """Read varints of six bytes; None when one is none. Samples that follow each other mostly have one time."""
    digits = words & _SIX_BYTES
    if not len(digits):
        return np.empty(0, np.int64)
    alike = bool((digits == digits[0]).all())
    if alike:
        digits = digits[:1]
    if ((digits & _GOES_ON) != _GO_ON).any():
        return None
    times = digits & np.uint64(0x7F)
    for byte in range(1, 6):
        times |= (digits >> np.uint64(byte)) & np.uint64(0x7F << 7 * byte)
    return np.full(len(words), times[0]).view(np.int64) if alike else times.view(np.int64)


def _checked_values(values: Floats) -> Floats:
    clear_reserved(values)
    return values
