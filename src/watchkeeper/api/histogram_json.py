"""Native histograms in answers, as Prometheus writes them.

    {"count":"4","sum":"5","buckets":[[0,"0.5","1","1"], …]}

A bucket is which of its bounds belong to it, lower bound, upper bound, count. Belonging: 0 the upper one, 1 the lower
one, 2 neither, 3 both. Buckets are populated ones, ascending; without any, the field is left out.

source  Prometheus 3.5, util/jsonutil MarshalHistogram
"""

import numpy as np

from watchkeeper.api.points_json import number_texts
from watchkeeper.model.histogram import Bucket, Histogram


def histogram_json(histogram: Histogram) -> bytes:
    """Write one histogram; numbers are texts, as everywhere in these answers."""
    buckets = list(histogram.spread())
    numbers = [histogram.count, histogram.sum]
    for bucket in buckets:
        numbers += (bucket.lower, bucket.upper, bucket.count)
    texts = number_texts(np.array(numbers, np.float64))
    written = []
    for bucket, at in zip(buckets, range(2, len(texts), 3), strict=True):
        lower, upper, count = texts[at : at + 3]
        written.append(b'[%d,"%s","%s","%s"]' % (_belonging(bucket), lower, upper, count))
    tail = b',"buckets":[%s]' % b",".join(written) if written else b""
    return b'{"count":"%s","sum":"%s"%s}' % (texts[0], texts[1], tail)


def _belonging(bucket: Bucket) -> int:
    if bucket.lower_inclusive:
        return 3 if bucket.upper_inclusive else 1
    return 0 if bucket.upper_inclusive else 2
