"""The protobuf of remote write 1.0, and what a request of either version is read into.

prometheus.WriteRequest  1 timeseries*, 3 metadata*
TimeSeries               1 labels*, 2 samples*, 3 exemplars*, 4 histograms*
Label                    1 name, 2 value
Sample                   1 value (double), 2 timestamp (int64, Unix ms)
Exemplar                 1 labels*, 2 value (double), 3 timestamp
MetricMetadata           1 type, 2 metric_family_name, 4 help, 5 unit
source  prometheus.io/docs/specs/prw/remote_write_spec
"""

from array import array
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from watchkeeper.collect.known_series import KnownSeries
from watchkeeper.collect.write_scan import Ints, find_entries, find_samples
from watchkeeper.model.errors import BadInput
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
    read_varint,
    signed,
    want,
)

KINDS = ("unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset")
SAMPLE = b"\x12\x10\x09"  # a sample of 16 bytes: value, then a time of 6
_FEW = 64  # series read one by one before looking again for what was found at once
ZERO_SAMPLE = b"\x12\x07\x10"  # protobuf leaves out a value of zero


def places() -> "array[int]":
    """Give a list of places in a body, int64, that NumPy reads as it is."""
    return array("q")


@dataclass(slots=True)
class WireSeries:
    """One TimeSeries.

    labels      its label fields as version 1 sends them, one after the other: names the series without reading it
    samples     value and Unix milliseconds
    histograms  native histograms, not read yet
    fault       why it cannot be a series; its samples are refused
    """

    labels: bytes = b""
    samples: list[tuple[float, int]] = field(default_factory=list)
    histograms: list[bytes] = field(default_factory=list)
    exemplars: list[Exemplar] = field(default_factory=list)
    fault: str = ""


class Hashed(Protocol):
    """Simple series whose labels have been hashed, and are put together when they are new alone."""

    hashes: Ints
    known: KnownSeries

    def __getitem__(self, at: int) -> bytes:
        """Give the label bytes of a series."""
        ...


@dataclass(slots=True)
class Walk:
    """A request gone over once.

    keys      label bytes of each simple series: one with one sample, whose time takes six bytes
    hashed    the same, from a version that does not send them as bytes
    value_at  where the eight bytes of its value are in the body, -1 for a value left out, which is zero
    time_at   where its time is
    others    all other series
    metadata  what was said about metric families
    """

    keys: list[bytes] = field(default_factory=list)
    hashed: Hashed | None = None
    value_at: "array[int]" = field(default_factory=places)
    time_at: "array[int]" = field(default_factory=places)
    others: list[WireSeries] = field(default_factory=list)
    metadata: dict[str, MetricMetadata] = field(default_factory=dict)


def walk_request(body: bytes, *, simple: bool = True) -> Walk:
    """Go over a prometheus.WriteRequest.

    simple  whether to look for simple series; their labels are not read, and may turn out to be none
    raises  BrokenMessage when it is no protobuf, or a field is of another type
    """
    walk, at, end = Walk(), 0, len(body)
    scan = _Scan(body) if simple else None
    while at < end:
        if scan is not None:
            at = scan.take(at, walk)
            at = _walk_simple(body, at, walk) if at < end else at
            if at >= end:
                break
        number, kind, start, stop = read_field(body, at, end)
        if number in (1, 3):
            want(kind, BYTES, start, f"field {number} of WriteRequest")
        if number == 1:
            walk.others.append(_read_series(body, start, stop))
        elif number == 3:
            family, said = _read_metadata(body, start, stop)
            walk.metadata[family] = said
        at = stop
    return walk


class _Scan:
    """Simple series of a body, found all at once."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        raw = np.frombuffer(body, np.uint8)
        self._samples = find_samples(raw)
        self._entries = find_entries(raw, 0, 0x0A, self._samples.stops)

    def take(self, at: int, walk: Walk) -> int:
        """Take the simple series in a row that begin at a byte; gives where the next field begins."""
        entries, samples, body = self._entries, self._samples, self._body
        first, last = entries.run(at)
        if first == last:
            return at
        heads, cuts = entries.heads[first:last].tolist(), samples.places[first:last].tolist()
        walk.keys += [body[head:cut] for head, cut in zip(heads, cuts, strict=True)]
        walk.value_at.frombytes(samples.value_at[first:last].tobytes())
        walk.time_at.frombytes((samples.stops[first:last] - 6).tobytes())
        return int(entries.ends[last - 1])


def _walk_simple(body: bytes, at: int, walk: Walk) -> int:
    """Take a few series with one sample each; gives where the first begins that is anything else, or the next."""
    keys, value_at, time_at, end_of_body = walk.keys, walk.value_at, walk.time_at, len(body)
    for _ in range(_FEW):
        if at + 2 >= end_of_body or body[at] != 0x0A:
            break
        length, start = body[at + 1], at + 2
        if length >= 0x80 and body[start] < 0x80:  # two bytes, as nearly always
            length, start = length & 0x7F | body[start] << 7, at + 3
        elif length >= 0x80:
            length, start = read_varint(body, at + 1, end_of_body)
        end = start + length
        if end > end_of_body or length < 18:
            break
        if body.startswith(SAMPLE, end - 18) and body[end - 7] == 0x10:
            keys.append(body[start : end - 18])
            value_at.append(end - 15)
        elif body.startswith(ZERO_SAMPLE, end - 9):
            keys.append(body[start : end - 9])
            value_at.append(-1)
        else:
            break
        time_at.append(end - 6)
        at = end
    return at


def _read_series(body: bytes, at: int, end: int) -> WireSeries:
    series, labels = WireSeries(), []
    before = at
    for number, kind, start, stop in fields(body, at, end):
        if number in (1, 2, 3, 4):
            want(kind, BYTES, start, f"field {number} of TimeSeries")
        if number == 1:
            labels.append(body[before:stop])
        elif number == 2:
            series.samples.append(read_sample(body, start, stop))
        elif number == 3:
            series.exemplars.append(_read_exemplar(body, start, stop))
        elif number == 4:
            series.histograms.append(body[start:stop])
        before = stop
    series.labels = b"".join(labels)
    return series


def holds_labels_alone(part: bytes) -> bool:
    """Say whether a part of a TimeSeries is label fields and nothing else."""
    if _read_short_labels(part) is not None:
        return True
    try:
        return all(number == 1 and kind == BYTES for number, kind, _, _ in fields(part, 0, len(part)))
    except BadInput:
        return False


def read_sample(body: bytes, at: int, end: int) -> tuple[float, int]:
    """Read a Sample of either version: value and Unix milliseconds.

    raises  BrokenMessage when it is no protobuf, or a field is of another type
    """
    value, time_ms = 0.0, 0
    for number, kind, start, stop in fields(body, at, end):
        if number == 1:
            want(kind, FIXED64, start, "a sample's value")
            value = read_double(body, start)
        elif number == 2:
            want(kind, VARINT, start, "a sample's timestamp")
            time_ms = read_varint(body, start, stop)[0]
    return value, signed(time_ms)


def _read_exemplar(body: bytes, at: int, end: int) -> Exemplar:
    labels: dict[str, str] = {}
    value, time_ms = 0.0, 0
    for number, kind, start, stop in fields(body, at, end):
        if number == 1:
            want(kind, BYTES, start, "an exemplar's labels")
            name, text = read_label(body, start, stop)
            labels[name.decode(errors="replace")] = text.decode(errors="replace")
        elif number == 2:
            want(kind, FIXED64, start, "an exemplar's value")
            value = read_double(body, start)
        elif number == 3:
            want(kind, VARINT, start, "an exemplar's timestamp")
            time_ms = read_varint(body, start, stop)[0]
    return Exemplar(labels, value, signed(time_ms), timed=time_ms != 0)


def read_labels(labels: bytes) -> list[tuple[bytes, bytes]]:
    """Read label fields into pairs of name and value, as sent.

    raises  BrokenMessage when one is no protobuf
    """
    short = _read_short_labels(labels)
    if short is not None:
        return short
    return [read_label(labels, at, end) for _, _, at, end in fields(labels, 0, len(labels))]


def _read_short_labels(labels: bytes) -> list[tuple[bytes, bytes]] | None:
    """Read labels as every sender writes them, name then value, all lengths one byte; None when they are not so."""
    pairs, at, end = [], 0, len(labels)
    while at < end:
        if end - at < 6 or labels[at] != 0x0A or labels[at + 2] != 0x0A:
            return None
        stop, cut = at + 2 + labels[at + 1], at + 4 + labels[at + 3]
        if labels[at + 1] > 0x7F or stop > end or cut + 2 > stop or labels[cut] != 0x12:
            return None
        if labels[cut + 1] > 0x7F or cut + 2 + labels[cut + 1] != stop:
            return None
        pairs.append((labels[at + 4 : cut], labels[cut + 2 : stop]))
        at = stop
    return pairs


def read_label(body: bytes, at: int, end: int) -> tuple[bytes, bytes]:
    """Read a label's name and value, as sent.

    raises  BrokenMessage when it is no protobuf, or a field is of another type
    """
    name = value = b""
    for number, kind, start, stop in fields(body, at, end):
        if number in (1, 2):
            want(kind, BYTES, start, "a label's name or value")
        if number == 1:
            name = body[start:stop]
        elif number == 2:
            value = body[start:stop]
    return name, value


def _read_metadata(body: bytes, at: int, end: int) -> tuple[str, MetricMetadata]:
    kind_number, texts = 0, {2: "", 4: "", 5: ""}
    for number, kind, start, stop in fields(body, at, end):
        if number == 1 and kind == VARINT:
            kind_number = read_varint(body, start, stop)[0]
        elif number in texts and kind == BYTES:
            texts[number] = body[start:stop].decode(errors="replace")
    said = KINDS[kind_number] if kind_number < len(KINDS) else "unknown"
    return texts[2], MetricMetadata(said, texts[4], texts[5])


def unreadable(fault: BrokenMessage, message: str) -> BadInput:
    """Say where a request is not the message that its sender says it is."""
    return BadInput(f"cannot read remote write request: got {fault.got} at byte {fault.at}, want {message}")
