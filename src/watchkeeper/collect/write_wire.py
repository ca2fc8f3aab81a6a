"""The protobuf of remote write 1.0 read by hand: bounds checked, unknown fields skipped, positions named.

prometheus.WriteRequest  1 timeseries*, 3 metadata*
TimeSeries               1 labels*, 2 samples*, 3 exemplars*, 4 histograms*
Label                    1 name, 2 value
Sample                   1 value (double), 2 timestamp (int64, Unix ms)
MetricMetadata           1 type, 2 metric_family_name, 4 help, 5 unit
source  prometheus.io/docs/specs/prw/remote_write_spec; protobuf.dev/programming-guides/encoding
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from watchkeeper.model.errors import BadInput
from watchkeeper.model.frame import MetricMetadata

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_KINDS = ("unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset")
_DOUBLE = struct.Struct("<d")


@dataclass(slots=True)
class WireSeries:
    """One TimeSeries.

    labels      its label fields as sent, one after the other: names the series without reading it
    samples     value and Unix milliseconds
    histograms  how many native histograms it held
    """

    labels: bytes = b""
    samples: list[tuple[float, int]] = field(default_factory=list)
    histograms: int = 0


def broken(at: int, got: str) -> BadInput:
    """Say where a message is no protobuf."""
    return BadInput(f"cannot read remote write request: got {got} at byte {at}, want a prometheus.WriteRequest")


def read_varint(body: bytes, at: int, end: int) -> tuple[int, int]:
    """Read a varint of at most 64 bits; gives it and where it ends.

    raises  BadInput when it is cut off or longer
    """
    number, shift = 0, 0
    for place in range(at, min(at + 10, end)):
        byte = body[place]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            if number >> 64:
                break
            return number, place + 1
        shift += 7
    raise broken(at, "a varint that is cut off" if end - at < 10 else "a varint of more than 64 bits")


def fields(body: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Walk over the fields of a message: number, wire type, and where the content begins and ends.

    raises  BadInput when a field does not fit, or is a group
    """
    while at < end:
        tag, start = read_varint(body, at, end)
        number, kind = tag >> 3, tag & 7
        if kind == BYTES:
            length, start = read_varint(body, start, end)
            stop = start + length
        elif kind == VARINT:
            _, stop = read_varint(body, start, end)
        elif kind in (FIXED64, FIXED32):
            stop = start + (8 if kind == FIXED64 else 4)
        else:
            raise broken(at, f"wire type {kind}")
        if stop > end or number == 0:
            raise broken(at, "a field longer than its message" if number else "field number 0")
        yield number, kind, start, stop
        at = stop


def read_series(body: bytes, at: int, end: int) -> WireSeries:
    """Read one TimeSeries.

    raises  BadInput when it is no protobuf, or a field is of another type
    """
    series, labels = WireSeries(), []
    before = at
    for number, kind, start, stop in fields(body, at, end):
        if number in (1, 2, 3, 4) and kind != BYTES:
            raise broken(start, f"wire type {kind} for field {number} of TimeSeries")
        if number == 1:
            labels.append(body[before:stop])
        elif number == 2:
            series.samples.append(_read_sample(body, start, stop))
        elif number == 4:
            series.histograms += 1
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


def _read_sample(body: bytes, at: int, end: int) -> tuple[float, int]:
    value, time_ms = 0.0, 0
    for number, kind, start, stop in fields(body, at, end):
        if number == 1:
            if kind != FIXED64:
                raise broken(start, f"wire type {kind} for a sample's value")
            value = _DOUBLE.unpack_from(body, start)[0]
        elif number == 2:
            if kind != VARINT:
                raise broken(start, f"wire type {kind} for a sample's timestamp")
            time_ms = read_varint(body, start, stop)[0]
    return value, time_ms - (1 << 64) if time_ms >> 63 else time_ms


def read_labels(labels: bytes) -> list[tuple[bytes, bytes]]:
    """Read label fields into pairs of name and value, as sent.

    raises  BadInput when one is no protobuf
    """
    return _read_short_labels(labels) or _read_any_labels(labels)


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


def _read_any_labels(labels: bytes) -> list[tuple[bytes, bytes]]:
    pairs = []
    for _, _, at, end in fields(labels, 0, len(labels)):
        name = value = b""
        for number, kind, start, stop in fields(labels, at, end):
            if number in (1, 2) and kind != BYTES:
                raise broken(start, f"wire type {kind} in a label")
            if number == 1:
                name = labels[start:stop]
            elif number == 2:
                value = labels[start:stop]
        pairs.append((name, value))
    return pairs


def read_metadata(body: bytes, at: int, end: int) -> tuple[str, MetricMetadata]:
    """Read one MetricMetadata: the family's name and what is said of it.

    raises  BadInput when it is no protobuf
    """
    kind_number, texts = 0, {2: "", 4: "", 5: ""}
    for number, kind, start, stop in fields(body, at, end):
        if number == 1 and kind == VARINT:
            kind_number = read_varint(body, start, stop)[0]
        elif number in texts and kind == BYTES:
            texts[number] = body[start:stop].decode(errors="replace")
    said = _KINDS[kind_number] if kind_number < len(_KINDS) else "unknown"
    return texts[2], MetricMetadata(said, texts[4], texts[5])
