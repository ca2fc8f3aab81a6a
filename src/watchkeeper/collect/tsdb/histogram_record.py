"""Records of native histograms in the log of a Prometheus.

record  u8 kind, u64 first reference, i64 first time; each varint difference of reference and of time, u8 hint,
        varint schema, f64 zero threshold, zero count, count, f64 sum, spans and then counts of both sides, bounds
source  Prometheus 3.5, tsdb/record/record.go
"""

import struct
from collections.abc import Iterator

import numpy as np

from watchkeeper.collect.tsdb.varints import uvarint, varint
from watchkeeper.model.frame import STALE_BITS
from watchkeeper.model.histogram import CUSTOM_BUCKETS, Hint, Histogram
from watchkeeper.net.histogram_chunk import ChunkLayout, Spans, summed

_F64 = struct.Struct(">d")
_REF_AND_TIME = struct.Struct(">Qq")


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
            sides.append(summed(steps))
    bounds: tuple[float, ...] = ()
    if schema == CUSTOM_BUCKETS:
        number, at = uvarint(record, at)
        bounds = struct.unpack_from(f">{number}d", record, at)
        at += 8 * number
    if sum_bits == STALE_BITS:
        return None, at
    layout = ChunkLayout(schema, threshold, spans[0], spans[1], np.array(bounds, np.float64), hint)
    return layout.histogram(float(count), sum_bits, float(zeros), (sides[0], sides[1])), at
