"""Native histograms in answers, as Prometheus writes them.

    {"count":"4","sum":"5","buckets":[[0,"0.5","1","1"], …]}

A bucket is which of its bounds belong to it, lower bound, upper bound, count. Belonging: 0 the upper one, 1 the lower
one, 2 neither, 3 both. Buckets are populated ones, ascending; without any, the field is left out.

source  Prometheus 3.5, util/jsonutil MarshalHistogram
"""

from collections.abc import Sequence

import numpy as np

from watchkeeper.api.points_json import number_texts
from watchkeeper.model.frame import Floats
from watchkeeper.model.histogram import Bucket, Histogram

Heads = dict[tuple[object, ...], list[bytes]]


def histogram_json(histogram: Histogram) -> bytes:
    """Write one histogram; numbers are texts, as everywhere in these answers."""
    return histograms_json([histogram], {})[0]


def histograms_json(histograms: Sequence[Histogram], heads: Heads) -> list[bytes]:
    """Write histograms.

    heads  what stands before the counts of each layout, kept from one call to the next
    """
    rows = [_numbers(one) for one in histograms]
    texts = number_texts(np.concatenate(rows)) if rows else []
    written, at = [], 0
    for one, row in zip(histograms, rows, strict=True):
        count, total, *counts = texts[at : at + len(row)]
        at += len(row)
        buckets = [head + text + b'"]' for head, text in zip(_heads(one, heads), counts, strict=True)]
        tail = b',"buckets":[%s]' % b",".join(buckets) if buckets else b""
        written.append(b'{"count":"%s","sum":"%s"%s}' % (count, total, tail))
    return written


def _numbers(one: Histogram) -> Floats:
    """Give count, sum, and the counts of the populated buckets, ascending."""
    zero = [one.zero_count] if one.zero_count > 0 else []
    return np.concatenate(([one.count, one.sum], one.negative.counts[::-1], zero, one.positive.counts))


def _heads(one: Histogram, heads: Heads) -> list[bytes]:
    """Write what stands before the count of each bucket: which bounds belong to it, and the bounds."""
    sides = (one.positive.index.tobytes(), one.negative.index.tobytes(), one.bounds.tobytes())
    key = (one.schema, one.zero_threshold, one.zero_count > 0, *sides)
    known = heads.get(key)
    if known is None:
        buckets = list(one.spread())
        ends = number_texts(np.array([end for bucket in buckets for end in (bucket.lower, bucket.upper)], np.float64))
        pairs = zip(buckets, ends[::2], ends[1::2], strict=True)
        known = heads[key] = [b'[%d,"%s","%s","' % (_belonging(bucket), low, high) for bucket, low, high in pairs]
    return known


def _belonging(bucket: Bucket) -> int:
    if bucket.lower_inclusive:
        return 3 if bucket.upper_inclusive else 1
    return 0 if bucket.upper_inclusive else 2
