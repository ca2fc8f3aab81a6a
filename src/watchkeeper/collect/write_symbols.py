"""The protobuf of remote write 2.0: every string once in a table, labels as places in it.

io.prometheus.write.v2.Request  4 symbols*, 5 timeseries*
TimeSeries   1 labels_refs* (uint32: name, value, name, …), 2 samples*, 3 histograms*, 4 exemplars*, 5 metadata,
             6 created_timestamp
Sample       1 value (double), 2 timestamp (int64, Unix ms), 3 start_timestamp
Exemplar     1 labels_refs*, 2 value (double), 3 timestamp
Metadata     1 type, 3 help_ref, 4 unit_ref
source  prometheus.io/docs/specs/prw/remote_write_spec_2_0

Labels are turned into the bytes that version 1 would send, so that a series is the same whichever version names it.
"""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from watchkeeper.collect.known_series import KnownSeries, hashes_of
from watchkeeper.collect.write_scan import find_entries, find_samples
from watchkeeper.collect.write_wire import KINDS, Walk, WireSeries, places, read_sample
from watchkeeper.model.exemplar import Exemplar
from watchkeeper.model.frame import MetricMetadata
from watchkeeper.net.protobuf import (
    BYTES,
    FIXED64,
    VARINT,
    BrokenMessage,
    fields,
    read_double,
    read_field,
    read_numbers,
    read_varint,
    signed,
    want,
)
from watchkeeper.net.protobuf import field as bytes_field

_FAMILY_ENDS = ("_bucket", "_count", "_sum")
_WHOLE = frozenset({"histogram", "gaugehistogram", "summary"})
_REF_BYTES_MAX = 4
_CREATED_BYTES_MAX = 9
_NO_METADATA = b"\x2a\x00"  # what Prometheus writes when it has none
_NAME = b"__name__"
_SHORT = 124  # a label of fewer bytes has lengths of one byte

Ints = npt.NDArray[np.int64]
Said = tuple[MetricMetadata, ...]


@dataclass(slots=True)
class _Simple:
    """Series with one sample each, as they were found.

    refs    bytes of all their label references, one series after the other; refs_of: how many bytes each has
    tails   what follows the sample: metadata, created timestamp
    """

    refs: list[npt.NDArray[np.uint8]] = field(default_factory=list)
    refs_of: list[Ints] = field(default_factory=list)
    tails: list[bytes] = field(default_factory=list)
    value_at: "array[int]" = field(default_factory=places)
    time_at: "array[int]" = field(default_factory=places)


class _Hashed:
    """Simple series of a request, by the hashes of their labels; see write_wire.Hashed."""

    def __init__(self, known: KnownSeries, symbols: Sequence[bytes], pairs: Ints, cuts: Ints) -> None:
        self.known = known
        self._symbols, self._pairs, self._cuts = symbols, pairs, cuts
        texts = hashes_of(symbols).view(np.uint64)
        each = _mix(_mix(texts)[pairs[:, 0]] + texts[pairs[:, 1]])
        self.hashes: Ints = np.add.reduceat(each, np.concatenate([[0], cuts[:-1]])).view(np.int64)

    def __getitem__(self, at: int) -> bytes:
        own = self._pairs[self._cuts[at - 1] if at else 0 : self._cuts[at]].tolist()
        return b"".join(_label(self._symbols[name], self._symbols[value]) for name, value in own)


def _mix(number: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Spread 64 bits over 64 bits, so that sums of such numbers tell sets of labels apart."""
    number = (number ^ (number >> np.uint64(32))) * np.uint64(0xBF58476D1CE4E5B9)
    number = (number ^ (number >> np.uint64(29))) * np.uint64(0x94D049BB133111EB)
    return number ^ (number >> np.uint64(32))


class SymbolWalk:
    """Goes over version 2 requests; knows series by the hashes of their labels, whatever their places in a table."""

    def __init__(self) -> None:
        self._known = KnownSeries()

    def forget(self) -> None:
        """Forget all series: they will be numbered anew."""
        self._known.clear()

    def __call__(self, body: bytes, *, simple: bool = True) -> Walk:
        """Go over a request.

        simple  whether to look for simple series
        raises  BrokenMessage when it is no protobuf, or a field is of another type
        """
        found, symbols, spans = _find(body, simple=simple)
        walk = Walk(value_at=found.value_at, time_at=found.time_at)
        if found.refs:
            walk.hashed = self._hashed(found, symbols, walk.metadata)
            if walk.hashed is None:
                return self(body, simple=False)
        walk.others = [_read_series(body, start, stop, symbols, walk.metadata) for start, stop in spans]
        return walk

    def _hashed(self, found: _Simple, symbols: Sequence[bytes], metadata: dict[str, MetricMetadata]) -> _Hashed | None:
        """Give the simple series; None when any turns out not to be simple."""
        decoded = _references(np.concatenate(found.refs), np.concatenate(found.refs_of), len(symbols))
        told = {tail: _read_tail(tail, symbols) for tail in set(found.tails)}
        if decoded is None or None in told.values():
            return None
        pairs, cuts = decoded
        if any(told.values()):
            _describe_all(found.tails, told, symbols, pairs, cuts, metadata)
        return _Hashed(self._known, symbols, pairs, cuts)


def _describe_all(
    tails: Sequence[bytes],
    told: Mapping[bytes, Said | None],
    symbols: Sequence[bytes],
    pairs: Ints,
    cuts: Ints,
    metadata: dict[str, MetricMetadata],
) -> None:
    """Keep what simple series said under their families' names."""
    named = pairs[:, 0] == (symbols.index(_NAME) if _NAME in symbols else -1)
    row_of = np.searchsorted(cuts, np.flatnonzero(named), side="right").tolist()
    for row, name in zip(row_of, pairs[named, 1].tolist(), strict=True):
        said = told[tails[row]]
        if said:
            _describe(metadata, symbols[name], said)


def _find(body: bytes, *, simple: bool) -> tuple[_Simple, list[bytes], list[tuple[int, int]]]:
    """Give the simple series, the symbols, and where all other series are."""
    spans: list[tuple[int, int]] = []
    symbols, at = _read_symbols(body)
    found, end = _Simple(), len(body)
    scan = _Scan(body, at) if simple else None
    while at < end:
        if scan is not None:
            at = scan.take(at, found)
            if at >= end:
                break
        number, kind, start, stop = read_field(body, at, end)
        if number in (4, 5):
            want(kind, BYTES, start, f"field {number} of Request")
        if number == 4:
            symbols.append(body[start:stop])
        elif number == 5:
            spans.append((start, stop))
        at = stop
    return found, symbols, spans


def _read_symbols(body: bytes) -> tuple[list[bytes], int]:
    """Read the short strings of the table at the beginning of a body; gives where the first other field begins."""
    symbols, at, end = [], 0, len(body)
    while at + 1 < end and body[at] == 0x22 and body[at + 1] < 0x80:
        stop = at + 2 + body[at + 1]
        if stop > end:
            break
        symbols.append(body[at + 2 : stop])
        at = stop
    return symbols, at


class _Scan:
    """Simple series of a body, found all at once."""

    def __init__(self, body: bytes, first: int) -> None:
        self._body = body
        self._raw = raw = np.frombuffer(body, np.uint8)
        self._samples = samples = find_samples(raw)
        entries = find_entries(raw, first, 0x2A, _ends(raw, samples.stops))
        at = np.minimum(entries.heads, len(raw) - 2)
        short = (raw[at] == 0x0A) & (raw[at + 1] < 0x80) & (at + 2 + raw[at + 1] == samples.places)
        self._entries = entries.only(short)

    def take(self, at: int, found: _Simple) -> int:
        """Take the simple series in a row that begin at a byte; gives where the next field begins."""
        entries, samples, body = self._entries, self._samples, self._body
        first, last = entries.run(at)
        if first == last:
            return at
        heads, sizes = entries.heads[first:last] + 2, samples.places[first:last] - entries.heads[first:last] - 2
        before = np.cumsum(sizes) - sizes
        found.refs.append(self._raw[np.repeat(heads - before, sizes) + np.arange(sizes.sum())])
        found.refs_of.append(sizes)
        stops, ends = samples.stops[first:last], entries.ends[first:last]
        alike = self._raw[stops[ends - stops == 2]] == _NO_METADATA[0]
        if len(alike) == len(stops) and alike.all() and not self._raw[stops + 1].any():
            found.tails += [_NO_METADATA] * len(stops)
        else:
            found.tails += [body[stop:end] for stop, end in zip(stops.tolist(), ends.tolist(), strict=True)]
        found.value_at.frombytes(samples.value_at[first:last].tobytes())
        found.time_at.frombytes((samples.stops[first:last] - 6).tobytes())
        return int(entries.ends[last - 1])


def _ends(raw: npt.NDArray[np.uint8], stops: Ints) -> Ints:
    """Give where series end whose samples end at `stops`: behind metadata and created timestamp, if any."""
    padded = np.concatenate([raw, np.zeros(2, np.uint8)])
    ends = stops + np.where(
        (padded[stops] == 0x2A) & (padded[stops + 1] < 0x80), 2 + padded[stops + 1].astype(np.int64), 0
    )
    ends = np.minimum(ends, len(raw))
    # Protobuf is not told from what follows it by its first byte alone; a wrong guess fails the check of lengths.
    created = padded[ends] == 0x30
    more, ends = created, ends + created
    for _ in range(_CREATED_BYTES_MAX):
        more = more & (padded[np.minimum(ends, len(raw))] >= 0x80)
        if not more.any():
            break
        ends = ends + more
    return ends + created


def _references(raw: npt.NDArray[np.uint8], sizes: Ints, n_symbols: int) -> tuple[Ints, Ints] | None:
    """Read all label references at once.

    sizes    how many of the bytes each series has
    returns  int64[n, 2] name and value of each label; where each series' labels end; None when any is out of range
    """
    ends_of_series = np.cumsum(sizes)
    last = raw < 0x80
    if not len(raw) or not sizes.all() or not last[ends_of_series - 1].all():
        return None
    ends = np.flatnonzero(last)
    starts = np.concatenate([[0], ends[:-1] + 1])
    longest = int((ends - starts).max()) + 1
    counts = np.cumsum(last)[ends_of_series - 1]
    if longest > _REF_BYTES_MAX or (counts & 1).any():
        return None
    numbers = (raw[ends] & 0x7F).astype(np.int64)
    for back in range(1, longest):
        more = ends - starts >= back
        numbers[more] = numbers[more] << 7 | (raw[ends[more] - back] & 0x7F)
    if numbers.max() >= n_symbols:
        return None
    return numbers.reshape(-1, 2), counts // 2


def _label(name: bytes, value: bytes) -> bytes:
    if len(name) + len(value) < _SHORT:
        return b"\n%c\n%c%b\x12%c%b" % (len(name) + len(value) + 4, len(name), name, len(value), value)
    return bytes_field(1, bytes_field(1, name) + bytes_field(2, value))


def _read_tail(tail: bytes, symbols: Sequence[bytes]) -> Said | None:
    """Read what follows a sample: nothing or one MetricMetadata; None when anything else is there."""
    said: Said = ()
    for number, kind, start, stop in fields(tail, 0, len(tail)):
        if number == 5 and kind == BYTES:
            said = _read_metadata(tail, start, stop, symbols)
        elif number != 6 or kind != VARINT:
            return None
    return said


def _read_metadata(body: bytes, at: int, end: int, symbols: Sequence[bytes]) -> Said:
    numbers = {1: 0, 3: 0, 4: 0}
    for number, kind, start, stop in fields(body, at, end):
        if number in numbers:
            want(kind, VARINT, start, f"field {number} of Metadata")
            numbers[number] = read_varint(body, start, stop)[0]
    if not any(numbers.values()) or max(numbers[3], numbers[4]) >= len(symbols):
        return ()
    said = KINDS[numbers[1]] if numbers[1] < len(KINDS) else "unknown"
    help_text, unit = (symbols[numbers[place]].decode(errors="replace") for place in (3, 4))
    return (MetricMetadata(said, help_text, unit),)


def _describe(metadata: dict[str, MetricMetadata], name: bytes, said: Said) -> None:
    """Keep what a series said under its family's name."""
    family = name.decode(errors="replace")
    if said[0].type in _WHOLE:
        family = next((family.removesuffix(end) for end in _FAMILY_ENDS if family.endswith(end)), family)
    metadata[family] = said[0]


def _read_series(
    body: bytes, at: int, end: int, symbols: Sequence[bytes], metadata: dict[str, MetricMetadata]
) -> WireSeries:
    series, refs = WireSeries(), list[int]()
    said: Said = ()
    for number, kind, start, stop in fields(body, at, end):
        if number in (2, 3, 4, 5):
            want(kind, BYTES, start, f"field {number} of TimeSeries")
        if number == 1:
            refs += read_numbers(body, kind, start, stop)
        elif number == 2:
            series.samples.append(read_sample(body, start, stop))
        elif number == 3:
            series.histograms.append(body[start:stop])
        elif number == 4:
            series.exemplars.append(_read_exemplar(body, start, stop, symbols))
        elif number == 5:
            said = _read_metadata(body, start, stop, symbols)
    pairs = _pairs(refs, symbols)
    if pairs is None:
        series.fault = f"invalid labelRefs {refs[:20]}: want pairs of places among {len(symbols)} symbols"
        return series
    series.labels = b"".join(_label(name, value) for name, value in pairs)
    if said:
        _describe(metadata, dict(pairs).get(_NAME, b""), said)
    return series


def _pairs(refs: Sequence[int], symbols: Sequence[bytes]) -> list[tuple[bytes, bytes]] | None:
    if len(refs) % 2 or max(refs, default=0) >= len(symbols):
        return None
    texts = [symbols[ref] for ref in refs]
    return list(zip(texts[::2], texts[1::2], strict=True))


def _read_exemplar(body: bytes, at: int, end: int, symbols: Sequence[bytes]) -> Exemplar:
    refs: list[int] = []
    value, time_ms = 0.0, 0
    for number, kind, start, stop in fields(body, at, end):
        if number == 1:
            refs += read_numbers(body, kind, start, stop)
        elif number == 2:
            want(kind, FIXED64, start, "an exemplar's value")
            value = read_double(body, start)
        elif number == 3:
            want(kind, VARINT, start, "an exemplar's timestamp")
            time_ms = read_varint(body, start, stop)[0]
    pairs = _pairs(refs, symbols)
    if pairs is None:
        raise BrokenMessage(at, "an exemplar's labels outside the symbols")
    labels = {name.decode(errors="replace"): value.decode(errors="replace") for name, value in pairs}
    return Exemplar(labels, value, signed(time_ms), timed=time_ms != 0)
