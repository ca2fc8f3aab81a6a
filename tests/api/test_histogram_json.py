"""Native histograms in answers."""

import math

import numpy as np
import orjson

from watchkeeper.api.histogram_json import histogram_json
from watchkeeper.model.histogram import CUSTOM_BUCKETS, Histogram, from_spans

SIDE = from_spans([(0, 1), (1, 1)], np.array([1.0, 2.5]))


def test_buckets_say_which_bounds_belong_to_them() -> None:
    held = Histogram(8, -1.5, zero_threshold=0.001, zero_count=1, positive=SIDE, negative=SIDE)
    assert histogram_json(held) == (
        b'{"count":"8","sum":"-1.5","buckets":[[1,"-4","-2","2.5"],[1,"-1","-0.5","1"],[3,"-0.001","0.001","1"],'
        b'[0,"0.5","1","1"],[0,"2","4","2.5"]]}'
    )


def test_custom_buckets_reach_to_infinity() -> None:
    held = Histogram(3.5, math.nan, CUSTOM_BUCKETS, positive=SIDE, bounds=np.array([5.0, 1e22]))
    assert orjson.loads(histogram_json(held)) == {
        "count": "3.5",
        "sum": "NaN",
        "buckets": [[3, "-Inf", "5", "1"], [0, "1e+22", "+Inf", "2.5"]],
    }


def test_nothing_observed_has_no_buckets() -> None:
    assert histogram_json(Histogram(0, 0)) == b'{"count":"0","sum":"0"}'
