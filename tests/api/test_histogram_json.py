"""Native histograms in answers."""

import math

import numpy as np
import orjson

from watchkeeper.api.columns_json import columns_of
from watchkeeper.api.histogram_json import histogram_json
from watchkeeper.api.matrix_json import data_of
from watchkeeper.model.histogram import CUSTOM_BUCKETS, Histogram, from_spans
from watchkeeper.query.promql.engine import Engine
from watchkeeper.query.promql.memory import MemoryReader

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


ONE = Histogram(2, 3, positive=from_spans([(1, 1)], np.array([2.0])))
SHOWN = {"count": "2", "sum": "3", "buckets": [[0, "1", "2", "2"]]}


def _engine() -> Engine:
    reader = MemoryReader()
    reader.add({"__name__": "mixed"}, [(0, 1.5), (1000, ONE), (2000, 4.0)])
    reader.add({"__name__": "one"}, [(0, ONE)])
    return Engine(reader)


def test_a_vector_has_values_and_histograms() -> None:
    data = orjson.loads(data_of(_engine().instant('{__name__=~"mixed|one"}', 2000)))
    assert data["result"] == [
        {"metric": {"__name__": "mixed"}, "value": [2, "4"]},
        {"metric": {"__name__": "one"}, "histogram": [2, SHOWN]},
    ]


def test_a_series_of_both_kinds_has_two_lists() -> None:
    data = orjson.loads(data_of(_engine().range('{__name__=~"mixed|one"}', 0, 2000, 1000)))
    assert data["result"] == [
        {"metric": {"__name__": "mixed"}, "values": [[0, "1.5"], [2, "4"]], "histograms": [[1, SHOWN]]},
        {"metric": {"__name__": "one"}, "histograms": [[0, SHOWN], [1, SHOWN], [2, SHOWN]]},
    ]
    assert orjson.loads(data_of(_engine().instant("mixed[2s]", 2000)))["result"] == [
        {"metric": {"__name__": "mixed"}, "values": [[2, "4"]], "histograms": [[1, SHOWN]]}
    ]


def test_columns_have_histograms_among_their_cells() -> None:
    answer = orjson.loads(columns_of(_engine().range("mixed", 0, 3000, 1000)))
    assert answer["series"][0]["values"] == [1.5, SHOWN, 4, 4]
